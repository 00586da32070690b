package binding

// Dependency says which rows of a list with a Query are concerned when rows of a table change. Its zero value is not
// valid.
type Dependency struct {
	// Table is the table, as in SQL.
	Table string
	// Columns are columns of the table, by exact name. Their values are logged with every change of a row: those that it
	// had and those that it has.
	Columns []string
	// Through and Refers say where these values are found: in the columns Refers, in the same order, of the table Through,
	// which is another Dependency of the list. A change then concerns what a change of those rows would concern. If
	// Through is empty, the values are the key of the list's row, in the order of the list's Key.
	Through string
	Refers  []string
}

// Setting is a setting of Postgres that is made from a value of the subscriber's identity, for policies to read with
// current_setting.
type Setting struct {
	// Name of the setting, as in: app.user_id.
	Name string
	// Value is the name of the identity's value, without @.
	Value string
}
