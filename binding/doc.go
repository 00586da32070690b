// Package binding says what of a database is published, and how: lists of a
// table's rows, vars, and functions. A definition is plain data. Struct tags
// with options are one way to make it, a composite literal of [ListDef],
// [VarDef] or [FuncDef] is the other. Nothing here reads or writes anything,
// and nothing panics: what is wrong with a definition is said, all at once, by
// its Validate method.
//
// # Tags
//
// What holds for the whole struct stands on a blank field, in the tag key
// socksync; what a field is stands on the field:
//
//	type Flight struct {
//		_         struct{}  `socksync:"table=flights; list=departures; order=departs_at, id; max_page_size=100"`
//		ID        int64     `db:"id" json:"id" socksync:"pk"`
//		DepartsAt time.Time `db:"departs_at" json:"departs_at"`
//		Note      *string   `db:"note" json:"-"`
//	}
//
// The blank field has type struct{} and comes once. Its tag is a sequence of
// key=value entries with a semicolon between them, each key at most once:
//
//	key            value                                   allowed with
//	table          the table, as in SQL                    any; needed but for a query
//	list           the name of the list                    not with var
//	var            the name of the var                     not with list
//	where          a condition over the row's columns      any; needed with var
//	order          terms with a comma between them         not with var
//	page_size      rows on a page when none is asked for   not with var
//	max_page_size  most rows that a page may have          not with var
//
// A struct with neither list nor var is a model: it can be read and written by
// its tags, and be the row of lists and vars that options name.
//
// The tags of a field:
//
//	tag              meaning
//	db:"name"        the field is the column with exactly that name
//	db:"-", no db    the field is not a column
//	json:"name"      the column's name in JSON, by the rules of encoding/json
//	json:"-"         the column is read but not published
//	socksync:"pk"    the column belongs to the primary key; several of them
//	                 are a composite key, in the order of the fields
//
// # Text in tags and options
//
// A semicolon or comma inside single or double quotes does not divide. Quotes
// are as in standard SQL: one inside its own kind is written twice,
// a backslash is nothing special, and a quote that is not closed is an error.
// White space around keys, values and terms does not count. One semicolon may
// end a tag.
//
// Table and column names in tags and options, except db, are written as in
// SQL: a bare name means its lower-case form, "Odd Name" means exactly that.
// A bare name may be a reserved word, since names are always quoted before
// Postgres sees them. A table may have a schema in front: public.flights.
//
// A term of an order is
//
//	[-]column [asc|desc] [nulls first|nulls last]
//
// where - and desc mean descending; a term has one of the two at most. Without
// nulls they stand where Postgres puts them: last ascending, first descending.
// The column must be one of the struct's columns; expressions are not allowed.
// Columns of the primary key that an order does not name follow it, ascending,
// so that it is always total.
//
// where is passed to Postgres as it is, in parentheses. It is part of the
// program: never put text into it that comes from a peer.
//
// # Embedded structs
//
// An embedded struct without a db tag is flattened, as encoding/json does it:
// its fields count as fields of the outer struct, and of two columns or JSON
// names that are equal the less deeply embedded one is meant. At the same depth
// they are an error. The blank field of an embedded struct says nothing about
// the outer one. An embedded struct with a JSON name of its own is published as
// an object and cannot hold columns.
//
// # Rows in JSON
//
// A row is published as encoding/json marshals the struct, so omitempty, string
// and MarshalJSON methods work, and exported fields that are no column are
// published too.
package binding
