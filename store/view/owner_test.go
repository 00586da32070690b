package view_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

var ownerRounds = flag.Int("owner-rounds", 60, "rounds of TestOwnersAtRandom")

const ownersTables = `
CREATE TABLE teams (id int PRIMARY KEY, name text, city int);
CREATE TABLE cities (id int PRIMARY KEY, name text);
CREATE TABLE notes (id int PRIMARY KEY, owner text, team int, public bool NOT NULL, body text NOT NULL);
CREATE TABLE tags (owner text NOT NULL, note int NOT NULL, rank int NOT NULL, PRIMARY KEY (owner, note));
CREATE INDEX ON notes (team); CREATE INDEX ON notes (owner); CREATE INDEX ON teams (city); CREATE INDEX ON tags (note);
INSERT INTO cities SELECT i, 'city ' || i % 3 FROM generate_series(1, 5) i;
INSERT INTO teams SELECT i, 'team ' || i % 4, 1 + i % 6 FROM generate_series(1, 8) i;
INSERT INTO notes SELECT i, 'u' || i % 5, nullif(i % 9, 0), i % 6 = 0, 'body ' || i % 13 FROM generate_series(1, 60) i;
INSERT INTO tags SELECT 'u' || i % 5, 1 + i % 60, i % 7 FROM generate_series(1, 40) i ON CONFLICT DO NOTHING;`

// owned is a list with what the test knows of it.
type owned struct {
	def    *binding.ListDef
	oracle string // a query of its rows
	where  string // a condition, with %[1]s for the user and %[2]s for the array of teams
	order  string
}

func columnsNamed(names ...string) (columns []binding.Column) {
	for _, name := range names {
		columns = append(columns, binding.Column{Name: name, JSON: name})
	}
	return columns
}

func orderOf(t testing.TB, terms string) []binding.OrderTerm {
	order, err := binding.ParseOrder(terms)
	require.NoError(t, err)
	return order
}

const (
	joinQuery  = `SELECT n.id, n.owner, n.body, t.name AS team, c.name AS city FROM notes n LEFT JOIN teams t ON t.id = n.team LEFT JOIN cities c ON c.id = t.city`
	groupQuery = `SELECT t.city, count(*) AS notes, min(n.body) AS first FROM notes n JOIN teams t ON t.id = n.team WHERE t.city IS NOT NULL GROUP BY t.city`
	taggedJoin = `SELECT g.owner, g.note, g.rank, n.body FROM tags g JOIN notes n ON n.id = g.note`
)

func ownedLists(t testing.TB, role string) []owned {
	notes := columnsNamed("id", "owner", "team", "public", "body")
	plain := func(name, where, order string) *binding.ListDef {
		return &binding.ListDef{Name: name, Table: "notes", Key: []string{"id"}, Columns: notes, Where: where, Order: orderOf(t, order), Filter: []binding.FilterRule{{Column: "*"}}, Sort: []string{"*"}}
	}
	const all = "SELECT id, owner, team, public, body FROM notes"
	lists := []owned{
		{plain("mine", "owner = @user", "body, id"), all, "owner = %[1]s", "body, id"},
		{plain("mine_public", "public AND owner = @user", "-id"), all, "owner = %[1]s AND public", "id DESC"},
		{plain("seen", "owner = @user OR public", "team, -body, id"), all, "owner = %[1]s OR public", "team, body DESC, id"},
		{plain("teams", "team = ANY(@teams) AND owner <> @user", "id"), all, "team = ANY(%[2]s) AND owner <> %[1]s", "id"},
		{&binding.ListDef{
			Name: "joined", Table: "notes", Query: joinQuery, Key: []string{"id"}, Columns: columnsNamed("id", "owner", "body", "team", "city"),
			Where: "owner = @user", Order: orderOf(t, "city, -team, id"),
			Depends: []binding.Dependency{
				{Table: "teams", Columns: []string{"id"}, Through: "notes", Refers: []string{"team"}},
				{Table: "cities", Columns: []string{"id"}, Through: "teams", Refers: []string{"city"}},
			},
		}, joinQuery, "owner = %[1]s", "city, team DESC, id"},
		{&binding.ListDef{
			Name: "groups", Query: groupQuery, Key: []string{"city"}, Columns: columnsNamed("city", "notes", "first"), Order: orderOf(t, "-notes, city"),
			Depends: []binding.Dependency{
				{Table: "teams", Columns: []string{"city"}},
				{Table: "notes", Columns: []string{"team"}, Through: "teams", Refers: []string{"id"}},
			},
		}, groupQuery, "true", "notes DESC, city"},
		{&binding.ListDef{
			Name: "tagged", Table: "tags", Query: taggedJoin, Key: []string{"owner", "note"}, Columns: append(columnsNamed("note", "rank", "body"), binding.Column{Name: "owner"}),
			Where: "owner = @user", Order: orderOf(t, "rank, note"),
			Depends: []binding.Dependency{{Table: "notes", Columns: []string{"id"}, Through: "tags", Refers: []string{"note"}}},
		}, "SELECT note, rank, body, owner FROM (" + taggedJoin + ") j", "owner = %[1]s", "rank, note"},
		{&binding.ListDef{
			Name: "recomputed", Query: "SELECT owner, count(*) AS n FROM notes WHERE owner IS NOT NULL GROUP BY owner", Key: []string{"owner"}, Columns: columnsNamed("owner", "n"),
			Where: "owner <> @user", Order: orderOf(t, "-n, owner"), Recompute: time.Millisecond, Tables: []string{"notes"},
		}, "SELECT owner, count(*) AS n FROM notes WHERE owner IS NOT NULL GROUP BY owner", "owner <> %[1]s", "n DESC, owner"},
	}
	ruled := plain("ruled", "", "body, id")
	ruled.Role, ruled.Settings = role, []binding.Setting{{Name: "app.who", Value: "user"}}
	return append(lists, owned{ruled, all, "owner = %[1]s OR team = 3", "body, id"})
}

// reader is a subscriber of one list as one user.
type owning struct {
	*chooser
	list owned
	user string
	want window.Want
}

func identityOf(user string) window.Identity {
	teams := "{" + user[1:] + ",3}"
	return window.Identity{"user": &user, "teams": &teams}
}

func (o *owning) sql(limit string) string {
	teams := "'" + *identityOf(o.user)["teams"] + "'::int[]"
	where := fmt.Sprintf(o.list.where+"%.0[1]s%.0[2]s", "'"+o.user+"'", teams)
	columns := ""
	for _, c := range o.list.def.Columns {
		if c.JSON != "" {
			columns += ", " + c.Name
		}
	}
	for _, c := range o.want.Choice.Filter {
		where = "(" + where + ") AND " + c.Column + " = " + strings.ReplaceAll(string(c.Value), `"`, "'")
	}
	return "SELECT " + columns[2:] + " FROM (" + o.list.oracle + ") q WHERE " + where + " ORDER BY " + o.list.order + limit
}

// shouldSee returns the window and the total as SQL has them.
func (o *owning) shouldSee(t testing.TB, pool *pgxpool.Pool) (rows []string, total int) {
	if o.want.Anchored {
		rows = o.all(t, pool)
		from := max(0, o.after(rows, o.held.After))
		return rows[from:min(from+o.want.Size, len(rows))], len(rows)
	}
	limit := fmt.Sprintf(" LIMIT %d OFFSET %d", o.want.Size, o.want.Page*o.want.Size)
	answer, err := pool.Query(context.Background(), "SELECT row_to_json(w)::text FROM ("+o.sql(limit)+") w")
	require.NoError(t, err, o.sql(limit))
	rows, err = pgx.CollectRows(answer, pgx.RowTo[string])
	require.NoError(t, err)
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT count(*) FROM ("+o.sql("")+") w").Scan(&total))
	return rows, total
}

func rowsHeld(s *window.State) []string {
	rows := []string{}
	for _, r := range s.Rows {
		rows = append(rows, string(r.JSON))
	}
	return rows
}

func (o *owning) check(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	o.until("an answer", func() bool { o.again(); return o.held != nil })
	rows, total := o.shouldSee(t, pool)
	o.until(fmt.Sprintf("%s of %s: %d rows of %d: %v\n%s", o.list.def.Name, o.user, len(rows), total, rows, o.sql("")), func() bool {
		o.again()
		if o.want.Anchored { // its anchor gives way to others
			rows, total = o.shouldSee(t, pool)
		}
		return o.held.Total == total && slices.Equal(rowsHeld(o.held), rows)
	})
}

// TestOwnersAtRandom has users follow lists that depend on who they are while rows change hands.
func TestOwnersAtRandom(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(12))
	exec(t, pool, ownersTables)
	role := newRole(t, pool, "")
	exec(t, pool, "GRANT SELECT ON notes TO "+role+`; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes TO `+role+` USING (owner = current_setting('app.who', true) OR team = 3)`)
	l := newLive(t, pool)
	l.engine = view.New(&view.Config{Pool: pool, Retry: 100 * time.Millisecond, Log: quiet, Grace: 20 * time.Millisecond})
	lists := ownedLists(t, role)
	sources := make([]window.Source, len(lists))
	for i, o := range lists {
		sources[i] = l.list(o.def)
	}
	draw := drawn(t)
	faults := &faulty{Drainer: l.engine, random: rand.New(rand.NewPCG(draw.Uint64(), 5))}
	drainer := &stumbling{faulty: faults, random: rand.New(rand.NewPCG(draw.Uint64(), 6))}
	l.run(drainer)
	open := func() *owning {
		i, user := draw.IntN(len(lists)), fmt.Sprintf("u%d", draw.IntN(5))
		o := &owning{list: lists[i], user: user, want: window.Want{Page: draw.IntN(2), Size: 1 + draw.IntN(8)}}
		if len(lists[i].def.Filter) > 0 && draw.IntN(3) == 0 {
			value, _ := json.Marshal(fmt.Sprintf("body %d", draw.IntN(13)))
			o.want.Choice.Filter = []window.Condition{{Column: "body", Operator: "eq", Value: value}}
		}
		o.chooser = chooseAs(t, sources[i], window.Options{Quiet: true, Identity: identityOf(user)})
		o.sub.Get(o.want)
		return o
	}
	source := func(o *owning) window.Source {
		return sources[slices.IndexFunc(lists, func(l owned) bool { return l.def == o.list.def })]
	}
	var all []*owning
	for range 40 {
		all = append(all, open())
	}
	for range *ownerRounds {
		l.exec(strings.Join(ownerChanges(draw), "; "))
		disturb(l, draw)
		switch i := draw.IntN(len(all)); draw.IntN(6) {
		case 0, 1:
			all[i].sub.Close()
			all[i] = open()
		case 2, 3:
			settle(l, drainer)
			all[i].check(t, pool)
			all[i] = all[i].becomes(t, source(all[i]), pool, draw)
		case 4:
			all[i].check(t, pool)
			all[i] = all[i].returns(t, source(all[i]), draw)
		}
		for _, o := range all {
			o.check(t, pool)
		}
		require.NoError(t, l.engine.Invariants())
	}
}

func chooseAs(t testing.TB, source window.Source, options window.Options) *chooser {
	c := &chooser{t: t, wake: make(chan struct{})}
	c.sub = source.Subscribe(c, options)
	t.Cleanup(c.sub.Close)
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		require.Empty(t, c.bad)
	})
	return c
}

func ownerChanges(draw *rand.Rand) (changes []string) {
	for range 1 + draw.IntN(4) {
		id, user, team := 1+draw.IntN(70), draw.IntN(6), draw.IntN(10)
		changes = append(changes, []string{
			fmt.Sprintf("UPDATE notes SET owner = nullif('u%d', 'u5') WHERE id = %d", user, id),
			fmt.Sprintf("UPDATE notes SET team = nullif(%d, 9) WHERE id = %d", team, id),
			fmt.Sprintf("UPDATE notes SET public = NOT public, body = 'body %d' WHERE id = %d", draw.IntN(13), id),
			fmt.Sprintf("DELETE FROM notes WHERE id = %d", id),
			fmt.Sprintf("INSERT INTO notes VALUES (%d, 'u%d', %d, false, 'body %d') ON CONFLICT (id) DO UPDATE SET body = 'body 7'", id, user, team, draw.IntN(13)),
			fmt.Sprintf("UPDATE teams SET name = 'team %d', city = nullif(%d, 6) WHERE id = %d", draw.IntN(5), draw.IntN(7), team),
			fmt.Sprintf("DELETE FROM teams WHERE id = %d", team),
			fmt.Sprintf("INSERT INTO teams VALUES (%d, 'team x', %d) ON CONFLICT DO NOTHING", team, draw.IntN(6)),
			fmt.Sprintf("UPDATE cities SET name = 'city %d' WHERE id = %d", draw.IntN(9), draw.IntN(6)),
			fmt.Sprintf("UPDATE notes SET id = id + 100 WHERE id = %d AND NOT EXISTS (SELECT FROM notes WHERE id = %d)", id, id+100),
			fmt.Sprintf("UPDATE tags SET owner = 'u%d' WHERE ctid = (SELECT ctid FROM tags WHERE note = %d LIMIT 1) AND NOT EXISTS (SELECT FROM tags WHERE owner = 'u%d' AND note = %d)", user, id, user, id),
			fmt.Sprintf("INSERT INTO tags VALUES ('u%d', %d, %d) ON CONFLICT (owner, note) DO UPDATE SET rank = 1", user, id, draw.IntN(7)),
			fmt.Sprintf("UPDATE notes SET owner = 'u%d' WHERE owner = 'u%d' AND id %% 3 = 0", user, draw.IntN(5)),
		}[draw.IntN(13)])
	}
	return changes
}
