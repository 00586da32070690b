// Package choice holds what a subscriber chose to see of a list (sort, filter and search) against the list's definition
// and its table: whether it is allowed, which values it compares with, and how it reads in SQL.
//
// Postgres decides everything. A view is loaded under [Choice.Where]; afterwards the rows that changed are read with
// the select list of a [Matcher], which asks for all choices of a list at once which of their conditions a row meets.
// Values are parameters, never part of a statement's text. Go compares nothing but texts, where equal values have equal
// ones.
//
//	rules, err := choice.NewRules(def, columns)     // at start-up, and when the table was altered
//	chosen, err := rules.Resolve(want)              // a get: allowed?
//	settled, err := chosen.Settle(ctx, tx)          // the values as the column's type has them
//	condition, args := settled.Where(1)             // the load
//	matcher := rules.Matcher(allSettled, first)     // every change
//	match, err := matcher.Match(types, fields, row)
//	in := match.Includes(settled)
package choice
