package view

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/internal/choice"
)

// group are views of a list whose changed rows are read by one statement: all of the list, or, where policies of the
// database decide, those of one identity. A view is in its group while it follows the changes: not while it is loaded, or
// cannot be read. It is owned by the feed goroutine.
type group struct {
	list     *list
	key      string // of the session
	session  *session
	relation *relation
	matcher  *choice.Matcher
	orders   map[orderColumn]int // that its views are ordered by, and by how many
	families map[string]*family  // by what they pin
	views    int
	reading  *reading // nil if what is read has changed

	found map[*view]*finding // in the drain under way
}

// finding is what a drain has found for a view.
type finding struct {
	keys    []string // that the view has, or had
	members map[string]*member
}

// enter puts a view into its group, to be read by a plan.
func (l *list) enter(v *view, p *plan) {
	session := l.session(p.choice)
	g := l.groups[session.key()]
	if g == nil {
		g = &group{
			list: l, key: session.key(), session: session, relation: p.relation, matcher: p.rules.Matcher(nil, len(l.def.Key)+1),
			orders: map[orderColumn]int{}, families: map[string]*family{},
		}
		l.groups[g.key] = g
	}
	g.add(v, p)
}

func (g *group) add(v *view, p *plan) {
	columns, values := p.choice.Pins()
	name := joinKey(columns)
	if len(columns) == 0 {
		name = ""
	}
	f := g.families[name]
	if f == nil {
		f = newFamily(columns)
		g.families[name] = f
	}
	v.group, v.read, v.bucket = g, p, f.add(v, values)
	g.matcher.Add(p.choice)
	g.views++
	for _, t := range p.terms {
		c := orderColumn{t.Column, p.encoded}
		g.orders[c]++
		if g.orders[c] == 1 {
			g.reading = nil
		}
	}
}

// exit takes a view out of its group, if it is in one.
func (v *view) exit() {
	g := v.group
	if g == nil {
		return
	}
	b := v.bucket
	b.remove(v)
	if len(b.family.buckets) == 0 {
		delete(g.families, familyName(b.family))
	}
	g.matcher.Remove(v.read.choice)
	for _, t := range v.read.terms {
		c := orderColumn{t.Column, v.read.encoded}
		g.orders[c]--
		if g.orders[c] == 0 {
			delete(g.orders, c)
			g.reading = nil
		}
	}
	g.views--
	if g.views == 0 {
		delete(g.list.groups, g.key)
	}
	delete(g.found, v)
	v.group, v.read, v.bucket, v.indexed = nil, nil, nil, false
}

func familyName(f *family) string {
	if len(f.columns) == 0 {
		return ""
	}
	return joinKey(f.columns)
}

// how returns how to read the changed rows.
func (g *group) how() *reading {
	if asked := g.matcher.SQL(); g.reading == nil || g.reading.asked != asked {
		g.reading = newReading(g, asked)
	}
	return g.reading
}

// sort finds out which views the changed rows concern: those that have them now, and those that had them.
func (g *group) sort(d *drainOf, rows []*changedRow) error {
	g.found = map[*view]*finding{}
	concerns := d.concerns()
	for _, row := range rows {
		all := concerns(row.key)
		for _, f := range g.families {
			if err := g.place(f, row, all); err != nil {
				return err
			}
		}
	}
	for _, key := range spelled(d.named(), rows) {
		all := concerns(key)
		for _, f := range g.families {
			for _, v := range f.holding(key) {
				g.note(v, key, all && v.indexed)
			}
		}
		for _, v := range g.list.joining {
			g.note(v, key, v.group == g && v.stage != nil && !v.indexed)
		}
	}
	return nil
}

// place gives a row to the views of a family that have it now, or only to those that join.
func (g *group) place(f *family, row *changedRow, all bool) error {
	if !row.included {
		return nil
	}
	values, ok := row.match.Pinned(f.columns)
	b := f.buckets[values]
	if !ok || b == nil {
		return nil
	}
	for _, v := range slices.Clone(b.views) { // one that fails leaves
		if v.indexed && !all {
			continue
		}
		m, err := row.member(v.read)
		if err == nil && m != nil {
			err = g.finding(v).take(m)
		}
		if err != nil {
			return v.failOn(err)
		}
	}
	return nil
}

func (g *group) finding(v *view) *finding {
	f := g.found[v]
	if f == nil {
		f = &finding{members: map[string]*member{}}
		g.found[v] = f
	}
	return f
}

func (f *finding) take(m *member) error {
	if f.members[m.key] != nil {
		return errDuplicate
	}
	f.members[m.key] = m
	return nil
}

// note tells a view of a key, if it is one of its rows.
func (g *group) note(v *view, key string, asked bool) {
	if asked && v.takenTree().Has(key) {
		f := g.finding(v)
		f.keys = append(f.keys, key)
	}
}

// spelled returns the keys that the log names and those of the rows that were found: a key may come back with another
// text, as 1.0 for 1.00.
func spelled(keys []string, rows []*changedRow) []string {
	logged := setOf(keys)
	all := keys[:len(keys):len(keys)]
	for _, row := range rows {
		if _, ok := logged[row.key]; !ok {
			all = append(all, row.key)
		}
	}
	return all
}

func setOf(keys []string) map[string]struct{} {
	set := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		set[k] = struct{}{}
	}
	return set
}

// deal hands what was found to the views.
func (g *group) deal() {
	for v, f := range g.found {
		if v.stage == nil {
			v.stand(newStage(v.plan, v.tree))
		}
		v.stage.keys, v.stage.members = f.keys, f.members
	}
	g.found = nil
}

// question asks for the changed rows.
func (g *group) question(tx pgx.Tx, keys []string, take func(*changedRow)) question {
	l, r := g.list, g.how()
	read := &reader{relation: g.relation, types: tx.Conn().TypeMap(), report: l.unreadableRow}
	sql := r.sql
	if len(keys) <= fullRows && l.shown > 0 {
		sql = r.fullSQL
	}
	return question{
		sql: sql, args: append(keyArrays(keys, len(l.def.Key)), g.matcher.Args()...), session: g.session,
		fail: g.failOn,
		take: func(rows pgx.Rows) error {
			row, err := r.changedRow(read, rows)
			take(row)
			return err
		},
	}
}

// failOn marks the views of the group as ones that cannot be read, if the error is of the list itself.
func (g *group) failOn(err error) error {
	result := err
	for _, v := range g.all() {
		result = v.failOn(err)
	}
	return result
}

func (g *group) all() (views []*view) {
	for _, f := range g.families {
		for _, b := range f.buckets {
			views = append(views, b.views...)
		}
	}
	return views
}

// session is under whose policies rows are read; nil is the server's own.
type session struct {
	role   *role
	values []*string // of the settings
}

func (l *list) session(c *choice.Choice) *session {
	if l.role == nil {
		return nil
	}
	return &session{l.role, c.Session()}
}

// checkRole finds out whether the list can be read under its role, if it has one, with the rights that this has.
func (l *list) checkRole(ctx context.Context, tx pgx.Tx, r *relation) error {
	if l.role == nil {
		return nil
	}
	if err := l.role.check(ctx, tx); err != nil {
		return fmt.Errorf("%s: %w", l.def, err)
	}
	p := newPlan(r, r.standard(), true)
	// Policies are planned without settings, where they may fail in other ways than with some.
	if _, err := tx.Exec(ctx, "EXPLAIN "+p.loadSQL, p.loadArgs...); lacksRight(err) {
		return fmt.Errorf("%s: as role %q, which needs the right to read all its tables: %w", l.def, l.def.Role, err)
	}
	return nil
}

func (s *session) key() string {
	if s == nil {
		return ""
	}
	texts := make([]string, len(s.values)+1)
	for i, v := range s.values {
		texts[i] = "-"
		if v != nil {
			texts[i] = "=" + *v
		}
	}
	return joinKey(texts)
}

// assume takes the role on until the end of the transaction.
func (s *session) assume(ctx context.Context, tx pgx.Tx) error {
	if s == nil {
		return nil
	}
	return s.role.assume(ctx, tx, s.value)
}

// value returns the value for a setting.
func (s *session) value(name string) any {
	for i, setting := range s.role.settings {
		if setting.Value == name && s.values[i] != nil {
			return *s.values[i]
		}
	}
	return nil
}

// follow has the following statements of a batch run under the session instead of another one, and returns how many
// statements that takes. What a session sets would last to the end of the transaction; it is undone, so that no policy
// reads what another session has set.
func (s *session) follow(before *session, batch *pgx.Batch) int {
	if s == before {
		return 0
	}
	n := batch.Len()
	if before == nil {
		batch.Queue("SAVEPOINT socksync")
	} else {
		batch.Queue("ROLLBACK TO SAVEPOINT socksync")
	}
	if s == nil {
		batch.Queue("RELEASE SAVEPOINT socksync")
	} else {
		batch.Queue(s.role.sql, s.role.args(s.value)...)
	}
	return batch.Len() - n
}
