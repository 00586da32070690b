package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
)

// orderAdvice returns "" if an index yields the order of a list, among the rows for which a condition holds, else the
// statement that makes one. The rows of a query have an index only if all columns of the order are of the list's own table.
func (r *relation) orderAdvice(ctx context.Context, tx pgx.Tx, where string, order []binding.OrderTerm) (string, error) {
	if own, err := r.ownColumns(ctx, tx, columnsOf(order)); err != nil || own == nil {
		return "", err
	}
	if r.def.Query == "" {
		return orderAdvice(ctx, tx, tableName(r.def), where, order)
	}
	found, err := explain(ctx, tx, "SELECT"+r.from()+orderBy(order)+" LIMIT 1", "enable_seqscan", "enable_sort", "enable_incremental_sort")
	if err != nil || !found.sorts() {
		return "", err
	}
	return orderAdvice(ctx, tx, tableName(r.def), "", order)
}

// ownColumns returns columns of the list's own table by their names in the list; nil if some are not of it, as far as
// names and types tell.
func (r *relation) ownColumns(ctx context.Context, tx pgx.Tx, names []string) ([]column, error) {
	if r.def.Table == "" {
		return nil, nil
	}
	known := r.columns
	if r.def.Query != "" {
		var err error
		if known, err = readColumns(ctx, tx, tableName(r.def).SQL(), false); err != nil {
			return nil, err
		}
	}
	columns := make([]column, len(names))
	for i, name := range names {
		c, ok := known[name]
		if !ok || c.oid != r.columns[name].oid {
			return nil, nil
		}
		columns[i] = c
	}
	return columns, nil
}

// orderAdvice is advice for the rows of a table for which a condition holds, which indexes of some rows may serve.
func orderAdvice(ctx context.Context, tx pgx.Tx, table binding.TableName, where string, order []binding.OrderTerm) (string, error) {
	ordered := "SELECT FROM " + table.SQL()
	if where != "" {
		ordered += " WHERE (" + where + "\n)"
	}
	found, err := explain(ctx, tx, ordered+orderBy(order)+" LIMIT 1", "enable_seqscan", "enable_sort", "enable_incremental_sort")
	if err != nil {
		return "", fmt.Errorf("look for an index of %s: %w", table, err)
	}
	if !found.sorts() {
		return "", nil
	}
	return createIndexOn(ctx, tx, table, nil, order)
}

func orderBy(order []binding.OrderTerm) string {
	terms := make([]string, len(order))
	for i, t := range order {
		terms[i] = t.SQL()
	}
	return " ORDER BY " + strings.Join(terms, ", ")
}

// createIndexOn returns the statement that makes an index that finds rows by values of columns, in an order.
func createIndexOn(
	ctx context.Context, tx pgx.Tx, table binding.TableName, columns []string, order []binding.OrderTerm,
) (string, error) {
	order = slices.DeleteFunc(slices.Clone(order), func(t binding.OrderTerm) bool { return slices.Contains(columns, t.Column) })
	names, err := quoteIdents(ctx, tx, slices.Concat(columns, columnsOf(order)))
	if err != nil {
		return "", fmt.Errorf("advise an index of %s: %w", table, err)
	}
	for i, t := range order {
		names[len(columns)+i] += indexDirection(t)
	}
	return createIndex(ctx, tx, table, "("+strings.Join(names, ", ")+")")
}

func columnsOf(order []binding.OrderTerm) []string {
	names := make([]string, len(order))
	for i, t := range order {
		names[i] = t.Column
	}
	return names
}

// indexDirection spells out what is not the default of an index column.
func indexDirection(t binding.OrderTerm) string {
	s := ""
	if t.Desc {
		s = " DESC"
	}
	switch {
	case t.NullsFirst() == t.Desc:
		return s
	case t.NullsFirst():
		return s + " NULLS FIRST"
	default:
		return s + " NULLS LAST"
	}
}

// searchAdvice returns "" if indexes serve a search of a list, else the statements that make them. What a query makes has
// none.
func (r *relation) searchAdvice(ctx context.Context, tx pgx.Tx) (string, error) {
	if r.def.Query != "" {
		return "", nil
	}
	return searchAdvice(ctx, tx, tableName(r.def), r.rules.Search())
}

// searchAdvice returns "" if indexes serve a search in each of the columns, else the statements that make them. Columns
// with a nondeterministic collation are left out: no index can serve them.
func searchAdvice(ctx context.Context, tx pgx.Tx, table binding.TableName, columns []choice.Column) (string, error) {
	var missing []string
	for _, c := range columns {
		if !c.Deterministic {
			continue
		}
		found, err := explain(ctx, tx, "SELECT FROM "+table.SQL()+" WHERE pg_catalog.lower("+
			binding.QuoteIdent(c.Name)+"::pg_catalog.text) OPERATOR(pg_catalog.~~) '%abc%'", "enable_seqscan")
		if err != nil {
			return "", fmt.Errorf("look for an index of %s: %w", table, err)
		}
		if !found.indexed() {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	advice, err := trigramIndex(ctx, tx, table, missing)
	if err != nil {
		return "", fmt.Errorf("advise an index of %s: %w", table, err)
	}
	return advice, nil
}

// trigramIndex returns the statements that make an index of pg_trgm for a search in the columns.
func trigramIndex(ctx context.Context, tx pgx.Tx, table binding.TableName, columns []string) (string, error) {
	const find = `
select coalesce((
  select case when pg_catalog.pg_opclass_is_visible(o.oid) then '' else pg_catalog.quote_ident(n.nspname) || '.' end || o.opcname
  from pg_catalog.pg_opclass o join pg_catalog.pg_namespace n on n.oid = o.opcnamespace
  join pg_catalog.pg_am m on m.oid = o.opcmethod and m.amname = 'gin'
  where o.opcname = 'gin_trgm_ops' limit 1), '')`
	var class string
	if err := tx.QueryRow(ctx, find).Scan(&class); err != nil {
		return "", err
	}
	extension := ""
	if class == "" {
		class, extension = "gin_trgm_ops", "CREATE EXTENSION IF NOT EXISTS pg_trgm; "
	}
	names, err := quoteIdents(ctx, tx, columns)
	if err != nil {
		return "", err
	}
	for i, name := range names {
		names[i] = "lower(" + name + ") " + class
	}
	create, err := createIndex(ctx, tx, table, "USING gin ("+strings.Join(names, ", ")+")")
	return extension + create, err
}

// createIndex returns the statement that makes an index of a table.
func createIndex(ctx context.Context, tx pgx.Tx, table binding.TableName, definition string) (string, error) {
	name := []string{table.Name}
	if table.Schema != "" {
		name = []string{table.Schema, table.Name}
	}
	name, err := quoteIdents(ctx, tx, name)
	if err != nil {
		return "", err
	}
	return "CREATE INDEX ON " + strings.Join(name, ".") + " " + definition, nil
}

// quoteIdents quotes names where they need it, as whoever reads the advice would write them.
func quoteIdents(ctx context.Context, tx pgx.Tx, names []string) ([]string, error) {
	const quote = `
select array(select pg_catalog.quote_ident(n) from unnest($1::text[]) with ordinality u (n, i) order by i)`
	var quoted []string
	err := tx.QueryRow(ctx, quote, names).Scan(&quoted)
	return quoted, err
}

// planNode is a node of a query plan, as EXPLAIN shows it.
type planNode struct {
	Type     string     `json:"Node Type"`
	Schema   string     `json:"Schema"` // only if VERBOSE
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Cond     string     `json:"Index Cond"`
	Plans    []planNode `json:"Plans"`
}

// explain returns the plan that a query has without some ways to run it. What it sets is undone.
func explain(ctx context.Context, tx pgx.Tx, query string, without ...string) (planNode, error) {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return planNode{}, err
	}
	plan, err := explainUnder(ctx, inner, query, without)
	if undo := inner.Rollback(ctx); err == nil {
		err = undo
	}
	return plan, err
}

func explainUnder(ctx context.Context, tx pgx.Tx, query string, without []string) (planNode, error) {
	for _, name := range without {
		if _, err := tx.Exec(ctx, "select pg_catalog.set_config($1, 'off', true)", name); err != nil {
			return planNode{}, err
		}
	}
	return planOf(ctx, tx, "EXPLAIN (FORMAT JSON) "+query)
}

// planOf returns the plan that a statement with EXPLAIN shows.
func planOf(ctx context.Context, tx pgx.Tx, explain string) (planNode, error) {
	var text []byte
	if err := tx.QueryRow(ctx, explain, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return planNode{}, err
	}
	return readPlan(text)
}

func readPlan(text []byte) (planNode, error) {
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(text, &plans); err != nil {
		return planNode{}, err
	}
	if len(plans) != 1 {
		return planNode{}, fmt.Errorf("%d plans", len(plans))
	}
	return plans[0].Plan, nil
}

// sorts reports whether rows are sorted somewhere.
func (n planNode) sorts() bool {
	return strings.HasSuffix(n.Type, "Sort") || slices.ContainsFunc(n.Plans, planNode.sorts)
}

// indexed reports whether every row that is read was found by an index.
func (n planNode) indexed() bool {
	if len(n.Plans) > 0 {
		return !slices.ContainsFunc(n.Plans, func(p planNode) bool { return !p.indexed() })
	}
	return n.Cond != "" || n.Relation == "" && n.Index == ""
}
