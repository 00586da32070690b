package binding

import (
	"slices"

	"github.com/socksync/socksync/internal/sqltext"
)

// IdentityNames returns the names of the identity's values that the list is made of, sorted: those of Where and of
// Settings. A subscriber whose identity lacks one of them cannot have the list.
func (d *ListDef) IdentityNames() []string {
	return identityNames(sqltext.Find(d.Where).Names, d.Settings)
}

// BoundKey returns the columns of Key that Where has equal a value of the identity, as in user_name = @user; nil if there
// are none. A subscriber knows its rows without them: they are not part of the key as it is published. Where that would
// leave nothing of the key, none of it is left out.
func (d *ListDef) BoundKey() []string {
	var bound []string
	equal := equalities(d.Where)
	for _, column := range d.Key {
		if slices.Contains(equal, column) {
			bound = append(bound, column)
		}
	}
	if len(bound) == len(d.Key) {
		return nil
	}
	return bound
}

// IdentityNames returns the names of the identity's values that the var is made of, sorted: those of Settings and those in
// Query that are not in Params. A subscriber whose identity lacks one of them cannot have the var.
func (d *VarDef) IdentityNames() []string {
	names := sqltext.Find(d.Query).Names
	own := func(name string) bool { return slices.Contains(d.Params, name) }
	return identityNames(slices.DeleteFunc(names, own), d.Settings)
}

func identityNames(names []string, settings []Setting) []string {
	for _, s := range settings {
		names = append(names, s.Value)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// equalities returns the columns that a condition has equal a value of the identity.
func equalities(where string) []string {
	var columns []string
	for _, part := range sqltext.Conjuncts(where) {
		if column, _, ok := sqltext.Equality(part); ok {
			columns = append(columns, column)
		}
	}
	return columns
}

// ReadTables returns all tables whose changes may change the list, as in SQL, each once: Table first, then those of Depends
// and of Tables in their order.
func (d *ListDef) ReadTables() []string {
	var tables []string
	seen := map[TableName]bool{}
	add := func(table string) {
		if name, err := ParseTable(table); table != "" && (err != nil || !seen[name]) {
			seen[name] = true
			tables = append(tables, table)
		}
	}
	add(d.Table)
	for _, dependency := range d.Depends {
		add(dependency.Table)
	}
	for _, table := range d.Tables {
		add(table)
	}
	return tables
}
