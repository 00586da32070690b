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
//		Origin    string    `db:"origin" json:"origin" socksync:"filter=eq in; search"`
//		DepartsAt time.Time `db:"departs_at" json:"departs_at" socksync:"filter; sort"`
//		Secret    *string   `db:"secret" json:"-"`
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
//	max_window     most rows that a growing window has     not with var
//	filter         rules with a comma between them         not with var
//	sort           columns with a comma between them       not with var
//	search         columns with a comma between them       not with var
//	params         names with a comma between them         not with list
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
//	socksync:"filter=eq in"
//	                 subscribers may filter by the column, with these
//	                 operators; filter alone means all that its type has
//	socksync:"sort"  subscribers may sort by the column
//	socksync:"search"
//	                 the column, which is text, is searched
//
// A field's tag may have several of these, with a semicolon between them. None
// may be said twice of one column, here and on the blank field.
//
// # What subscribers may choose
//
// A list shows everybody the same rows in the same order, unless it says by
// which of its columns subscribers may filter, sort and search. What it does not
// name is refused.
//
// A rule of a filter is
//
//	column [(operator ...)]
//
// where the operators, with white space between them, are those that the column
// may be compared by; without them it is all that its type has:
//
//	eq                 = value; IS NULL for null
//	ne                 IS DISTINCT FROM value
//	lt, lte, gt, gte   < <= > >= value
//	in                 = ANY (values)
//	prefix, contains   starts_with(column, value), strpos(column, value) > 0
//	null               IS NULL, IS NOT NULL
//
// The column * in a filter stands for every published column that no other rule
// names: filter=*, note(contains) allows all on all columns but note. In sort it
// stands for every published column that has an order, and stands alone. It does
// not stand in search, which wants its index. Where * takes in columns whose
// types do not have an operator, or no order, they are left out; a column that is
// named for what its type does not have is a mistake, which is found when the
// list is held against the database.
//
// Subscribers name columns as they are published. So a column that is hidden from
// JSON cannot be named here, nor one for sorting whose JSON name starts with -,
// which means descending; and the columns of a list's primary key are published.
//
// A window starts on a page, or behind a row and grows while it is scrolled:
// max_window is where that ends. It is at least max_page_size, and 1,000 or
// max_page_size when not given.
//
// # Parameters of vars
//
// A var with a query may have parameters, whose values each subscriber chooses:
//
//	type Delay struct {
//		_       struct{} `socksync:"var=delay; params=airport, since"`
//		Flights int      `db:"flights" json:"flights"`
//		Minutes *float64 `db:"minutes" json:"minutes"`
//	}
//
//	binding.Var[Delay](binding.Query(
//		`SELECT count(*) AS flights, avg(delay_minutes)::float8 AS minutes FROM flights
//		WHERE origin = @airport AND (@since::timestamptz IS NULL OR departs_at >= @since)`, "flights"))
//
// A name is made of a to z, digits and underscores, and does not start with a
// digit. The query names each parameter, with an @ in front, outside of quotes
// and comments, and no other; it is bound as a value, never put into the text.
// Behind an operator that holds an @, or when @ is the operator, there is a
// space. What a subscriber leaves out is NULL.
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
