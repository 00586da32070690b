package view

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
)

// callForm finds calls of functions in the expressions of a plan, as Postgres writes them, clockForm what has a form of
// its own, textForm texts, which are neither.
var (
	textForm  = regexp.MustCompile(`'(?:[^']|'')*'`)
	callForm  = regexp.MustCompile(`([\pL_][\pL\pN_$]*)\(`)
	clockForm = regexp.MustCompile(`\b(?:CURRENT_DATE|CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP)\b`)
)

// unsteadySQL returns those of the functions of which the value may change without a change of a row: $1 are names, and
// the second result is whether a function is one of Postgres's.
const unsteadySQL = `
select distinct p.proname::text, p.pronamespace = 'pg_catalog'::regnamespace
from pg_catalog.pg_proc p
where p.proname = any ($1::text[]) and p.prokind = 'f' and case when p.pronamespace = 'pg_catalog'::regnamespace
  then p.provolatile = 'v' or p.proname in ('now', 'transaction_timestamp', 'statement_timestamp')
  else p.provolatile <> 'i' end
order by 1, 2`

// remarks tells what of a list's rows changes though no row of a table does, as far as the plan shows it: those rows keep
// what was read. It is not refused, since that may be what is meant.
func remarks(ctx context.Context, tx pgx.Tx, def *binding.ListDef) ([]string, error) {
	if def.Query == "" && def.Where == "" {
		return nil, nil
	}
	text, err := planText(ctx, tx, def)
	if err != nil {
		return nil, err
	}
	text = textForm.ReplaceAllString(text, "''")
	var all []string
	for _, clock := range clockForm.FindAllString(text, -1) {
		all = append(all, remarkOfClock(clock))
	}
	var names []string
	for _, call := range callForm.FindAllStringSubmatch(text, -1) {
		names = append(names, call[1])
	}
	rows, err := tx.Query(ctx, unsteadySQL, names)
	if err != nil {
		return nil, err
	}
	var name string
	var own bool
	_, err = pgx.ForEachRow(rows, []any{&name, &own}, func() error {
		remark := remarkOfClock(name)
		if !own {
			remark = fmt.Sprintf("it calls the function %s, which may read tables: changes of those that are not named go unseen", name)
		}
		all = append(all, remark)
		return nil
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

func remarkOfClock(name string) string {
	return fmt.Sprintf("it calls %s, whose value changes without a change of a row: rows keep what was read when they changed last", name)
}
