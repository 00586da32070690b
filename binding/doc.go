// Package binding says what of a database is published, and how: lists of the
// rows of a table, view or query, vars, and functions. A definition is plain data. Struct tags
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
//	table          the table, as in SQL                    any; needed but for a query or view
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
//	view           a view of the database, as in SQL       not with var
//	depends        terms with a comma between them         not with var
//	recompute      a time such as 500ms                    not with var
//	tables         tables with a comma between them        not with var
//	role           a role of the database, as in SQL       any
//	settings       settings with a comma between them      any
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
// and comments; it is bound as a value, never put into the text. What a
// subscriber leaves out is NULL. Other names that the query has are values of
// the identity.
//
// # Values of the identity
//
// In the where of a list or var, and in the query of a var, @name is a value of
// the identity of whoever subscribes, which the subscriber can neither see nor
// set:
//
//	type Note struct {
//		_     struct{} `socksync:"table=notes; list=notes; where=owner = @user_id AND NOT archived"`
//		ID    int64    `db:"id" json:"id" socksync:"pk"`
//		Owner string   `db:"owner" json:"-"`
//		Text  string   `db:"text" json:"text"`
//	}
//
// Names are those of parameters. A value is text that Postgres reads as whatever
// type the place has, or NULL. If the identity has no value of that name the
// list or var is refused. What @name is not: outside of these places, in quotes
// and in comments it is text like any other.
//
// An @ that is an operator, or a part of one, has a space behind it: @ x, a <@ b.
// Where it cannot be told what an @ is, as in a <@b, it is a mistake.
//
// A condition is taken apart at the ANDs outside of brackets. A part that is
// column = @name, with nothing else and with the column's bare name, costs a
// change the same however many identities have the list open: the views that a
// row belongs to are looked up. Any other part with a name, as owner = @user_id
// OR shared, is asked of Postgres for all open identities, which costs more the
// more there are. A condition with an OR or a CASE outside of brackets is one
// part: put brackets around what is between ANDs.
//
// A column of the primary key that is equal a value of the identity in this way,
// as user_name in user_name = @user, is the same for all rows that a subscriber
// can have. It need not be published, and is left out of the key as it is
// published, unless nothing else is in it.
//
// # Row-level security
//
// A list or var may be read under another role than the server's own, so that
// its policies decide which rows a subscriber has. For them settings are made of
// the identity:
//
//	role=app_user; settings=app.user_id @user_id, app.tenant @tenant
//
// A setting is a name with a dot, and a value of the identity with an @ in
// front. A policy reads it with current_setting('app.user_id'). Both hold for
// the transaction only in which the rows are read. The role has to be one that
// the server's own may become, and without the right to pass policies over.
//
// # Joins, computed columns and groups
//
// A list may have the rows of a query, or of a view of the database, in place of
// those of a table:
//
//	type FlightFull struct {
//		_       struct{} `socksync:"view=flights_full; list=full; table=flights; depends=airports.iata > flights.origin"`
//		ID      int64    `db:"id" json:"id" socksync:"pk"`
//		Origin  string   `db:"origin" json:"origin"`
//		Airport string   `db:"airport" json:"airport"`
//	}
//
// Its key, columns, where, order and what subscribers choose by are columns of
// the result. Rows that have the same key, or a NULL in it, are a mistake in the
// query.
//
// What has to be said is which rows of the result are concerned when a row of a
// table changes. table is the one whose primary key is the key of the list, with
// the same names, if there is one: its row concerns the row of the same key. For
// each other table there is a term in depends, or several:
//
//	table.column > table.column
//	table.(column, column) > table.(column, column)
//	table.column
//
// The first reads: a row of airports concerns whatever those rows of flights
// concern whose origin is its iata. The table behind the > is the list's or has
// terms of its own: countries.code > airports.country. Without a > the values
// are the key of the row that is concerned, as in a list with a row for each
// origin: depends=flights.origin. They are logged with every change, as they
// were and as they are, so that a row that goes from one group to another
// concerns both.
//
// The terms have to name every table that the query reads. Tables that are read
// by functions only are not found by themselves either: a change of one that is
// not named goes unseen. What a query makes of the time or of chance changes when
// the row is read again for another reason, not by itself. A way that leads back
// to a table that it comes from, as from employees to their managers, cannot be
// said.
//
// Where this cannot be said the list is recomputed: it is read anew as a whole
// after a change of its tables, and then not again for the interval.
//
//	view=by_hour; list=by_hour; recompute=500ms; tables=flights, airports
//
// The query of a list has no parameters and no values of the identity; where
// has these. To group by what only a subscriber sees, publish a var.
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
// where is passed to Postgres as it is, in parentheses, but for the values of the
// identity, which are bound. It is part of the program: never put text into it
// that comes from a peer. The query of a list is put into parentheses as well,
// and so does not end with a semicolon.
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
