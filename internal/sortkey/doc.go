// Package sortkey encodes Postgres values as bytes that compare as Postgres orders the values.
//
// [Append] takes a value in the binary wire format. The sort key of a row is the concatenation of the encodings of its
// sort columns: for two rows with the same columns, [bytes.Compare] of their sort keys is negative, zero or positive
// exactly where Postgres's ORDER BY puts the first row before, level with or behind the second. Values that Postgres
// holds equal, such as 1.0 and 1.00, or 0 and -0, have equal encodings.
//
// # Encoding
//
// A column begins with a byte that tells NULL from a value and puts it first or last. Behind it a value is one of
//
//   - fixed length, most significant byte first: integers with the sign bit flipped; floats with the sign bit flipped or,
//     if negative, all bits flipped; bool, uuid and the like as they are;
//   - text: its bytes, which are never 0, and a 0;
//   - bytea: its bytes with 0 written as 0 255, and at the end 0 1;
//   - numeric: a class from -Infinity to NaN, and for finite numbers other than 0 the weight of the first digit, the
//     digits to the base 10,000 plus one, and a 0 as the end; all inverted for negative numbers.
//
// No encoding of a value is the beginning of the encoding of another of the same type. So a column decides before the
// next one is looked at, and inverting all bytes of a value reverses the order, which is how DESC is made.
//
// # What is not here
//
// A type is supported only if its order is known without asking Postgres. Text is ordered by bytes under some collations
// only; the caller says so. Types whose order depends on the server's catalogs or libraries (enums, other collations,
// citext, jsonb), whose equality is looser than it seems (interval, timetz, char(n)), and all unknown types (domains
// included) are refused.
package sortkey
