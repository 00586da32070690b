package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// TestRuleThree makes one-row commits, one after the other, and holds what every
// subscriber gets against rule 3 of the protocol, word for word: which messages, in
// which order, and none else.
func TestRuleThree(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]pgtest.Option{
		"C.UTF-8":   nil,
		"ICU en-US": {pgtest.ICU("en-US")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newRuleThree(t, options...).run(10 * *roundsFlag)
		})
	}
}

// ruleThree is one run.
type ruleThree struct {
	*differential
	watchers []*watcher
	before   map[string][]ranked // each list as it was, by query
	beat     *browser            // hears of every commit
	beats    int
}

// watcher is a subscriber of one page, at rest between the commits.
type watcher struct {
	*browser
	spec       spec
	page, size int
}

// ranked is one row of a list, in its place.
type ranked struct{ key, json string }

const beatsTable = "CREATE TABLE beats (id int PRIMARY KEY, n int NOT NULL, note text); INSERT INTO beats VALUES (1, 0, NULL);"

func newRuleThree(t *testing.T, options ...pgtest.Option) *ruleThree {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: go test ./server -run '%s' -seed %d -rounds %d", t.Name(), seed, *roundsFlag)
	d := &differential{t: t, pool: pgtest.New(t, options...), random: rand.New(rand.NewPCG(seed, 3))}
	d.exec(tables + beatsTable)
	for i := range 30 {
		d.exec("INSERT INTO words VALUES ($1, $2, $3, $4, $5)", i, d.word(), d.n(), d.score(), d.at())
	}
	beat := binding.List[item](binding.Name("beats"), binding.Table("beats"))
	_, address := serve(t, d.pool, &server.Config{Migrate: true}, append(definitionsOf(specs), beat)...)
	r := &ruleThree{differential: d, beat: dial(t, address)}
	r.beat.list("beats", 0, 1)
	for i, at := range [][2]int{{0, 25}, {0, 4}, {1, 4}, {2, 4}, {3, 1}, {4, 9}, {9, 9}, {1, 20}, {0, 1}, {2, 12}} {
		for _, s := range specs[:6] {
			if (i+len(s.name))%2 == 0 { // half of all combinations
				r.watch(address, s, at[0], at[1])
			}
		}
	}
	r.before = r.lists()
	return r
}

func (r *ruleThree) watch(address string, s spec, page, size int) {
	w := &watcher{browser: dial(r.t, address), spec: s, page: page, size: size}
	w.list(s.name, page, size)
	r.watchers = append(r.watchers, w)
}

// lists reads every list that is watched.
func (r *ruleThree) lists() map[string][]ranked {
	lists := map[string][]ranked{}
	for _, s := range specs[:6] {
		rows, err := r.pool.Query(context.Background(), s.query)
		require.NoError(r.t, err)
		texts, err := s.rows(rows)
		require.NoError(r.t, err)
		list := make([]ranked, len(texts))
		for i, text := range texts {
			var id int64
			_, err := fmt.Sscanf(text, `{"id":%d,`, &id)
			require.NoError(r.t, err)
			list[i] = ranked{fmt.Sprint(id), text}
		}
		lists[s.name] = list
	}
	return lists
}

func (r *ruleThree) run(commits int) {
	kinds := map[string]int{}
	for i := range commits {
		key := r.commit()
		now := r.lists()
		for _, w := range r.watchers {
			want := expected(r.before[w.spec.name], now[w.spec.name], key, w.page, w.size)
			var kind string
			for _, next := range want {
				m := w.take()
				require.Equal(r.t, next, said(m), "commit %d of row %s, list %s page %d size %d\nwant %v", i, key, w.spec.name, w.page, w.size, want)
				kind += m.Func + " "
			}
			kinds[kind]++
		}
		r.before = now
	}
	for _, w := range r.watchers { // the answer is next: nothing else was sent
		w.send(`{"func":"get","type":"list","name":%q,"page":%d,"page_size":%d}`, w.spec.name, w.page, w.size)
		m := w.take()
		require.Equal(r.t, "set_all", m.Func, "list %s page %d size %d: %s", w.spec.name, w.page, w.size, said(m))
	}
	for _, kind := range []string{"", "set ", "set_count ", "set_count insert ", "set_count delete ", "set_count delete insert ", "delete insert "} {
		require.Positive(r.t, kinds[kind], "no change was answered by: %s", kind)
	}
}

// commit changes one row, whose key it returns, and waits until the server has told.
func (r *ruleThree) commit() string {
	ctx := context.Background()
	sql, args := r.change()
	r.beats++
	require.NoError(r.t, pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE beats SET n = $1", r.beats); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}))
	require.Equal(r.t, "set", r.beat.take().Func)
	return fmt.Sprint(args[0])
}

// change draws a statement that changes at most the row of its first parameter.
func (r *ruleThree) change() (string, []any) {
	id := r.random.Int64N(50)
	switch r.random.IntN(9) {
	case 0, 1:
		return "INSERT INTO words VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", []any{id, r.word(), r.n(), r.score(), r.at()}
	case 2:
		return "DELETE FROM words WHERE id = $1", []any{id}
	case 3:
		return "UPDATE words SET word = $2 WHERE id = $1", []any{id, r.word()}
	case 4:
		return "UPDATE words SET n = $2 WHERE id = $1", []any{id, r.n()}
	case 5:
		return "UPDATE words SET n = n + $2 WHERE id = $1", []any{id, r.random.IntN(5) - 2}
	case 6:
		return "UPDATE words SET score = $2, at = $3 WHERE id = $1", []any{id, r.score(), r.at()}
	case 7:
		return "UPDATE words SET word = word WHERE id = $1", []any{id}
	default:
		return "UPDATE words SET word = $2, n = $3, score = $4, at = $5 WHERE id = $1", []any{id, r.word(), r.n(), r.score(), r.at()}
	}
}

// said is a message as the oracle writes it.
func said(m message) string {
	switch m.Func {
	case "set_count":
		return fmt.Sprintf("set_count %d", *m.Total)
	case "delete":
		return fmt.Sprintf("delete %d", *m.Index)
	case "insert", "set":
		return fmt.Sprintf("%s %d %s", m.Func, *m.Index, m.Value)
	}
	return fmt.Sprintf("%s %+v", m.Func, m)
}

// expected is rule 3: what a change of the one row with the key yields on a page.
func expected(before, after []ranked, key string, page, size int) []string {
	was, is := cut(before, page, size), cut(after, page, size)
	d := slices.IndexFunc(was, func(r ranked) bool { return find(is, r.key) < 0 }) // no longer on the page
	i := slices.IndexFunc(is, func(r ranked) bool { return find(was, r.key) < 0 }) // new on it
	from, to := find(was, key), find(is, key)
	if from >= 0 && to >= 0 && from != to { // the changed row moved within the page
		d, i = from, to
	}
	var messages []string
	if len(before) != len(after) {
		messages = append(messages, fmt.Sprintf("set_count %d", len(after)))
	}
	if d >= 0 {
		messages = append(messages, fmt.Sprintf("delete %d", d))
	}
	if i >= 0 {
		messages = append(messages, fmt.Sprintf("insert %d %s", i, is[i].json))
	}
	if from >= 0 && from == to && was[from].json != is[to].json {
		messages = append(messages, fmt.Sprintf("set %d %s", to, is[to].json))
	}
	return messages
}

func cut(list []ranked, page, size int) []ranked {
	from := min(page*size, len(list))
	return list[from:min(from+size, len(list))]
}

func find(page []ranked, key string) int {
	return slices.IndexFunc(page, func(r ranked) bool { return r.key == key })
}

// TestUnaskedWindows checks what a subscriber gets that has not asked for a page: the
// changes of page 0, and nothing because others ask.
func TestUnaskedWindows(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	_, address := serve(t, pool, &server.Config{Migrate: true}, listItem())
	silent := dial(t, address)
	silent.send(`{"func":"subscribe","type":"list","name":"items"}`)
	silent.send(`{"func":"get","type":"var","name":"none"}`)
	silent.refused(3)

	follow(t, address, "items", 0, 3) // a page of its own
	change(t, pool, silent, "UPDATE items SET n = 11 WHERE id = 1", "set 0")
	follow(t, address, "items", 0, 50) // the same page, whose rows are read now
	change(t, pool, silent, "UPDATE items SET n = 12 WHERE id = 1", "set 0")
	follow(t, address, "items", 0, 50)
	change(t, pool, silent, "DELETE FROM items WHERE id = 2", "set_count 11", "delete 1")
	change(t, pool, silent, "INSERT INTO items VALUES (2, 500, NULL)", "set_count 12", "insert 11")
	silent.send(`{"func":"get","type":"list","name":"items"}`)
	require.Equal(t, "set_all", silent.take().Func)
}

// change runs a statement, of which the browser must get the messages, in short.
func change(t *testing.T, pool *pgxpool.Pool, b *browser, sql string, want ...string) {
	t.Helper()
	exec(t, pool, sql)
	for _, w := range want {
		require.Contains(t, said(b.take())+" ", w+" ", sql)
	}
}
