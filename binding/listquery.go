package binding

import (
	"slices"
	"strings"
	"time"

	"github.com/socksync/socksync/internal/sqltext"
)

// fromQuery takes what the list reads in place of its table.
func (d *ListDef) fromQuery(p *plan) {
	query, isQuery := p.settings[keyQuery]
	view, isView := p.settings[keyView]
	switch {
	case isQuery: // in place of a view in the tag
		d.Query = query.text
		if isView && view.at.option != "" {
			p.src.fail(keyView, view.at, "misplaced option: Query says already what the list reads")
		}
	case isView:
		d.Query = p.readView(view)
		p.src.places[keyQuery] = view.at
	}
	d.Depends = p.depends()
	d.Recompute, d.Tables = p.recompute()
}

// readView makes the statement that reads a view.
func (p *plan) readView(s setting) string {
	name, err := ParseTable(s.text)
	if err != nil {
		p.src.fail(keyView, s.at, "view: %s", strings.TrimPrefix(err.Error(), "table "))
		return ""
	}
	return "SELECT * FROM " + name.SQL()
}

// recompute returns the interval and the tables. The tables are those that the one option names, else those of the tag.
func (p *plan) recompute() (time.Duration, []string) {
	tables, inQuery, inRecompute := p.settings[keyTables], p.settings[keyQuery], p.settings[keyRecompute]
	switch {
	case len(inQuery.texts) > 0 && len(inRecompute.texts) > 0:
		p.src.fail(keyTables, inRecompute.at, "Query names the tables already")
	case len(inQuery.texts) > 0:
		tables = inQuery
	case len(inRecompute.texts) > 0:
		tables = inRecompute
	}
	p.src.places[keyTables] = tables.at
	return inRecompute.interval, slices.Clone(tables.texts)
}

// checkRead finds what is wrong with what the list reads.
func (d *ListDef) checkRead(r *report) {
	isQuery := d.Query != "" || d.src.hasFailed(keyQuery) || d.src.hasFailed(keyView)
	if !isQuery || d.Table != "" {
		checkTable(r, d.src, d.Table)
	}
	if !isQuery {
		d.checkNoQuery(r)
		return
	}
	d.checkListQuery(r)
	d.checkRecompute(r)
	d.checkDepends(r)
	d.checkChanges(r)
}

// checkNoQuery refuses what says nothing of the rows of a table.
func (d *ListDef) checkNoQuery(r *report) {
	for _, has := range []struct {
		key  key
		said bool
	}{{keyDepends, len(d.Depends) > 0}, {keyRecompute, d.Recompute != 0}, {keyTables, len(d.Tables) > 0}} {
		if has.said {
			r.add(d.src.place(has.key), "%s: only a list with a query or view has it", has.key)
		}
	}
}

// checkListQuery finds what is wrong with the text of the query.
func (d *ListDef) checkListQuery(r *report) {
	at := d.src.place(keyQuery)
	if d.Query == "" {
		return // which is known
	}
	if sqltext.IsBlank(d.Query) {
		r.add(at, "query is empty")
		return
	}
	if !checkEnclosed(r, at, "query", d.Query) {
		return
	}
	found := sqltext.Find(d.Query)
	if found.Numbered {
		r.add(at, "query: it has $ and a number: the query of a list has no parameters")
	}
	for _, name := range found.Names {
		r.add(at, "query: @%s: values of the identity belong in where (behind an operator @ belongs a space)", name)
	}
}

// checkRecompute finds what is wrong with the interval and the tables.
func (d *ListDef) checkRecompute(r *report) {
	at, tables := d.src.place(keyRecompute), d.src.place(keyTables)
	switch {
	case d.Recompute < 0:
		r.add(at, "recompute: %v is no time to wait", d.Recompute)
	case d.Recompute > 0 && len(d.Depends) > 0:
		r.add(at, "recompute: the list has depends as well: it is one or the other")
	case d.Recompute > 0 && len(d.Tables) == 0 && !d.src.hasFailed(keyTables):
		r.add(at, "recompute: missing tables: the list would never change")
	case d.Recompute == 0 && len(d.Tables) > 0 && !d.src.hasFailed(keyRecompute):
		r.add(tables, "tables: only a list with recompute has them; say in depends which rows their changes concern")
	}
	checkTables(r, tables, d.Tables)
}

// checkChanges refuses a query of which nothing says when its rows change.
func (d *ListDef) checkChanges(r *report) {
	said := d.Table != "" || len(d.Depends) > 0 || d.Recompute != 0 || len(d.Tables) > 0
	if !said && !d.src.hasFailed(keyDepends) && !d.src.hasFailed(keyRecompute) && !d.src.hasFailed(keyTable) && d.Query != "" {
		r.add(d.src.place(keyQuery), "missing table, depends or recompute: the list would never change")
	}
}

// checkTables finds what is wrong with the names of tables.
func checkTables(r *report, at place, tables []string) {
	for i, table := range tables {
		if _, err := ParseTable(table); err != nil {
			r.add(at, "%v", err)
		}
		if slices.Contains(tables[:i], table) {
			r.add(at, "repeated table %q", table)
		}
	}
}
