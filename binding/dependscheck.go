package binding

import (
	"slices"
	"strings"
)

// checkDepends finds what is wrong with the dependencies, in themselves and together.
func (d *ListDef) checkDepends(r *report) {
	at := d.src.place(keyDepends)
	for i, dependency := range d.Depends {
		same := func(other Dependency) bool { return other.String() == dependency.String() }
		if slices.ContainsFunc(d.Depends[:i], same) {
			r.add(at, "depends: %v is said twice", dependency)
			continue
		}
		d.checkDependency(r, at, dependency)
	}
	if way := d.cycle(); way != nil {
		r.add(at, "depends: %s leads back to itself: such a list can only be recomputed", strings.Join(way, " > "))
	}
}

// checkDependency finds what is wrong with one dependency in itself.
func (d *ListDef) checkDependency(r *report, at place, dependency Dependency) {
	if _, err := ParseTable(dependency.Table); err != nil {
		r.add(at, "depends: %v", err)
	}
	checkReferred(r, at, dependency.Columns)
	checkReferred(r, at, dependency.Refers)
	columns, through := len(dependency.Columns), dependency.Through
	switch {
	case columns == 0:
		r.add(at, "depends: %v: no columns", dependency)
	case through == "" && len(dependency.Refers) > 0:
		r.add(at, "depends: %v: columns that refer to it, of no table", dependency)
	case through == "" && columns != len(d.Key) && len(d.Key) > 0:
		r.add(at, "depends: %v: %d columns for the %d of the primary key", dependency, columns, len(d.Key))
	case through != "" && columns != len(dependency.Refers):
		r.add(at, "depends: %v: %d columns for %d", dependency, columns, len(dependency.Refers))
	case through != "" && !d.leadsOn(through):
		r.add(at, "depends: %v: of %s it is not said which rows it concerns: it is not the list's table, nor does a term start with it",
			dependency, through)
	}
}

// checkReferred finds columns that there cannot be, or that are said twice.
func checkReferred(r *report, at place, columns []string) {
	for i, column := range columns {
		if err := checkIdent(column); err != nil {
			r.add(at, "depends: column: %v", err)
		} else if slices.Contains(columns[:i], column) {
			r.add(at, "depends: repeated column %q", column)
		}
	}
}

// leadsOn reports whether it is known which rows a change of the table concerns.
func (d *ListDef) leadsOn(table string) bool {
	return sameTable(d.Table, table) ||
		slices.ContainsFunc(d.Depends, func(other Dependency) bool { return sameTable(other.Table, table) })
}

// sameTable reports whether two names of tables, as in SQL, are the same.
func sameTable(a, b string) bool {
	first, errFirst := ParseTable(a)
	second, errSecond := ParseTable(b)
	return errFirst == nil && errSecond == nil && first == second
}

// cycle returns the tables on a way that ends where it began; nil if there is none.
func (d *ListDef) cycle() []string {
	for _, dependency := range d.Depends {
		if way := d.wayTo(dependency.Table, []string{dependency.Table}); way != nil {
			return way
		}
	}
	return nil
}

// wayTo goes on from the last table of the way until it reaches the goal. A table is passed once.
func (d *ListDef) wayTo(goal string, way []string) []string {
	for _, next := range d.Depends {
		if next.Through == "" || !sameTable(next.Table, way[len(way)-1]) {
			continue
		}
		onward := append(slices.Clone(way), next.Through)
		if sameTable(next.Through, goal) {
			return onward
		}
		if slices.ContainsFunc(way, func(passed string) bool { return sameTable(passed, next.Through) }) {
			continue
		}
		if found := d.wayTo(goal, onward); found != nil {
			return found
		}
	}
	return nil
}
