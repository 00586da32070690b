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

// orderAdvice returns "" if an index of the table yields the order, else the statement that makes one.
func orderAdvice(ctx context.Context, tx pgx.Tx, table binding.TableName, order []binding.OrderTerm) (string, error) {
	return orderAdviceWhere(ctx, tx, table, "", order)
}

// orderAdviceWhere is orderAdvice for a list with a condition, which indexes of some rows may serve.
func orderAdviceWhere(
	ctx context.Context, tx pgx.Tx, table binding.TableName, where string, order []binding.OrderTerm,
) (string, error) {
	terms := make([]string, len(order))
	for i, t := range order {
		terms[i] = t.SQL()
	}
	ordered := "SELECT FROM " + table.SQL()
	if where != "" {
		ordered += " WHERE (" + where + "\n)"
	}
	ordered += " ORDER BY " + strings.Join(terms, ", ") + " LIMIT 1"
	found, err := explain(ctx, tx, ordered, "enable_seqscan", "enable_sort", "enable_incremental_sort")
	if err != nil {
		return "", fmt.Errorf("look for an index of %s: %w", table, err)
	}
	if !found.sorts() {
		return "", nil
	}
	names, err := quoteIdents(ctx, tx, columnsOf(order))
	if err != nil {
		return "", fmt.Errorf("advise an index of %s: %w", table, err)
	}
	for i, t := range order {
		names[i] += indexDirection(t)
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
	var text []byte
	if err := tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+query, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return planNode{}, err
	}
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
