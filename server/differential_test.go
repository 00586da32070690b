package server_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "seed of the differential test; 0 draws one")
	roundsFlag = flag.Int("rounds", 12, "rounds of the differential test, with a comparison after each")
)

// Word is a row with ties and NULLs in every column that lists are ordered by.
type Word struct {
	ID    int64      `db:"id" json:"id" socksync:"pk"`
	Word  *string    `db:"word" json:"word"`
	N     *int32     `db:"n" json:"n"`
	Score *float64   `db:"score" json:"score"`
	At    *time.Time `db:"at" json:"at"`
}

// Pair has a key of two columns, one of them text.
type Pair struct {
	A int32   `db:"a" json:"a" socksync:"pk"`
	B string  `db:"b" json:"b" socksync:"pk"`
	V *string `db:"v" json:"v"`
}

const tables = `
CREATE TABLE words (id bigint PRIMARY KEY, word text, n int, score float8, at timestamptz);
CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (b, a));`

// spec is one list: what the server is told, and what the oracle asks.
type spec struct {
	name  string
	def   func(opts ...binding.Option) *binding.ListDef
	where string
	order string // as in a tag
	query string // of the oracle: SELECT … ORDER BY
	rows  func(pgx.Rows) ([]string, error)
}

func listWord(opts ...binding.Option) *binding.ListDef {
	return binding.List[Word](append(opts, binding.Table("words"))...)
}

func listPair(opts ...binding.Option) *binding.ListDef {
	return binding.List[Pair](append(opts, binding.Table("pairs"))...)
}

// encoded scans rows into the struct and encodes them, as any program would.
func encoded[T any](rows pgx.Rows) ([]string, error) {
	structs, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	out := make([]string, len(structs))
	for i := range structs {
		text, jsonErr := json.Marshal(utc(structs[i]))
		if jsonErr != nil {
			return nil, jsonErr
		}
		out[i] = string(text)
	}
	return out, err
}

func utc(row any) any {
	if w, ok := row.(Word); ok && w.At != nil {
		at := w.At.UTC()
		w.At = &at
		return w
	}
	return row
}

const (
	fromWords = "SELECT id, word, n, score, at FROM words"
	fromPairs = "SELECT a, b, v FROM pairs"
)

var specs = []spec{
	{"by_id", listWord, "", "id", fromWords + " ORDER BY id", encoded[Word]},
	{"by_word", listWord, "", "word", fromWords + " ORDER BY word, id", encoded[Word]},
	{"by_word_down", listWord, "", "-word nulls last, n nulls first, id", fromWords + " ORDER BY word DESC NULLS LAST, n NULLS FIRST, id", encoded[Word]},
	{"high", listWord, "n >= 50", "-n, word", fromWords + " WHERE n >= 50 ORDER BY n DESC, word, id", encoded[Word]},
	{"by_score", listWord, "", "-score, at, -id", fromWords + " ORDER BY score DESC, at, id DESC", encoded[Word]},
	{"recent", listWord, "at IS NOT NULL AND score IS NOT NULL", "-at nulls last", fromWords + " WHERE at IS NOT NULL AND score IS NOT NULL ORDER BY at DESC, id", encoded[Word]},
	{"pairs", listPair, "", "v nulls first, -b", fromPairs + " ORDER BY v NULLS FIRST, b DESC, a", encoded[Pair]},
	{"pairs_by_a", listPair, "a % 3 <> 0", "-a", fromPairs + " WHERE a % 3 <> 0 ORDER BY a DESC, b", encoded[Pair]},
}

func definitionsOf(specs []spec) []binding.Definition {
	var defs []binding.Definition
	for _, s := range specs {
		opts := []binding.Option{binding.Name(s.name), binding.Order(s.order), binding.MaxPageSize(25)}
		if s.where != "" {
			opts = append(opts, binding.Where(s.where))
		}
		defs = append(defs, s.def(opts...))
	}
	return defs
}

// serve starts a server on the pool and returns its WebSocket's address.
func serve(t testing.TB, pool *pgxpool.Pool, config *server.Config, defs ...binding.Definition) (*server.Server, string) {
	t.Helper()
	live, err := server.New(pool, config, defs...)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, live.Start(ctx))
	web := httptest.NewServer(live)
	t.Cleanup(func() {
		require.NoError(t, live.Stop(context.Background()))
		web.Close()
	})
	return live, url(web)
}

// TestDifferential runs random transactions against subscribers on random pages
// of lists in all kinds of orders, and compares each page with Postgres's own.
func TestDifferential(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		database []pgtest.Option
		config   server.Config
		url      string // added to the server's
	}{
		"C.UTF-8":   {},
		"ICU en-US": {database: []pgtest.Option{pgtest.ICU("en-US")}},
		// As behind a pooler that shares sessions: no LISTEN, no prepared statements.
		"polling": {config: server.Config{PollOnly: true}, url: "&default_query_exec_mode=exec"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDifferential(t, c.config, c.url, c.database...)
			for range *roundsFlag {
				d.round()
			}
			d.release()
			d.compareAll()
			d.ask()
		})
	}
}

// differential is one run: a database, its server, and subscribers.
type differential struct {
	t       *testing.T
	pool    *pgxpool.Pool
	random  *rand.Rand
	readers []*reader
	held    pgx.Tx // open throughout
}

// reader is a subscriber of one page.
type reader struct {
	*browser
	spec       spec
	page, size int
	state      pageOf
	bad        error
	refused    bool // a get came while the table was locked
}

func newDifferential(t *testing.T, config server.Config, settings string, options ...pgtest.Option) *differential {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: go test ./server -run '%s' -seed %d -rounds %d", t.Name(), seed, *roundsFlag)
	d := &differential{t: t, pool: pgtest.New(t, append(options, pgtest.MaxConns(12))...), random: rand.New(rand.NewPCG(seed, 1))}
	d.exec(tables)
	for range 40 {
		d.write(d.pool)
	}
	served, err := pgxpool.New(context.Background(), d.pool.Config().ConnString()+settings)
	require.NoError(t, err)
	t.Cleanup(served.Close)
	config.Migrate = true
	_, address := serve(t, served, &config, definitionsOf(specs)...)
	d.hold()
	for i := range 24 {
		d.readers = append(d.readers, d.reader(address, specs[i%len(specs)]))
	}
	return d
}

func (d *differential) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := d.pool.Exec(context.Background(), sql, args...)
	require.NoError(d.t, err)
}

func (d *differential) reader(address string, s spec) *reader {
	r := &reader{browser: dial(d.t, address), spec: s}
	r.send(`{"func":"subscribe","type":"list","name":%q}`, s.name)
	d.move(r)
	return r
}

// describe says what is awaited.
func (r *reader) describe(want pageOf) string {
	return fmt.Sprintf("list %s page %d size %d to be as in the database:\nwant %+v\nhave %+v", r.spec.name, r.page, r.size, want, r.state)
}

// move asks for another page.
func (d *differential) move(r *reader) {
	r.page, r.size = d.random.IntN(4)*d.random.IntN(3), 1+d.random.IntN(25)
	r.get()
}

func (r *reader) get() {
	r.refused = false
	r.send(`{"func":"get","type":"list","name":%q,"page":%d,"page_size":%d}`, r.spec.name, r.page, r.size)
}

// hold opens a transaction that has written, and stays open until release.
func (d *differential) hold() {
	var err error
	d.held, err = d.pool.Begin(context.Background())
	require.NoError(d.t, err)
	_, err = d.held.Exec(context.Background(), "INSERT INTO pairs VALUES (-1, 'held', 'm'), (-2, 'held', NULL)")
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = d.held.Rollback(context.Background()) })
}

func (d *differential) release() { require.NoError(d.t, d.held.Commit(context.Background())) }

// round runs transactions, two writers at once, while some subscribers move, and
// then compares.
func (d *differential) round() {
	var wg sync.WaitGroup
	for range 2 {
		w := &differential{t: d.t, pool: d.pool, random: rand.New(rand.NewPCG(d.random.Uint64(), 2))}
		wg.Go(func() {
			for range 1 + w.random.IntN(8) {
				w.transaction()
			}
		})
	}
	for range d.random.IntN(6) {
		d.move(d.readers[d.random.IntN(len(d.readers))])
	}
	wg.Wait()
	d.compareAll()
}

// compareAll waits until each page is Postgres's answer.
func (d *differential) compareAll() {
	d.t.Helper()
	for _, r := range d.readers {
		want := d.answer(r)
		for equal := false; !equal; {
			r.until(func() string { return r.describe(want) }, func(inbox []message) bool {
				r.consume(inbox)
				equal = r.state.held && r.state.equal(want)
				return equal || r.bad != nil || r.refused
			})
			require.NoError(d.t, r.bad, "list %s page %d size %d", r.spec.name, r.page, r.size)
			if r.refused {
				r.get()
			}
		}
	}
}

// consume applies what has come in.
func (r *reader) consume(inbox []message) {
	for _, m := range inbox {
		if m.Func == "error" && m.ErrorCode == 8 {
			r.refused = true
			continue
		}
		if err := r.state.apply(m); err != nil && r.bad == nil {
			r.bad = err
		}
	}
	r.inbox = nil
}

// ask has every subscriber get its page once more, at rest: the answer is what it
// holds already, and nothing came in between.
func (d *differential) ask() {
	for _, r := range d.readers {
		held := r.state
		r.get()
		m := r.take()
		require.Equal(d.t, "set_all", m.Func, "list %s", r.spec.name)
		require.NoError(d.t, r.state.apply(m))
		require.True(d.t, r.state.equal(held), "list %s: held %+v, answer %+v", r.spec.name, held, r.state)
	}
}

// answer is the page as Postgres has it.
func (d *differential) answer(r *reader) pageOf {
	rows, err := d.pool.Query(context.Background(), r.spec.query)
	require.NoError(d.t, err)
	all, err := r.spec.rows(rows)
	require.NoError(d.t, err)
	page := pageOf{held: true, page: r.page, size: r.size, total: len(all)}
	from := min(r.page*r.size, len(all))
	page.items = append(page.items, all[from:min(from+r.size, len(all))]...)
	return page
}

// executor is a pool or a transaction.
type executor interface {
	Begin(context.Context) (pgx.Tx, error)
}

// transaction runs a few statements that are committed or rolled back together.
func (d *differential) transaction() {
	ctx := context.Background()
	tx, err := d.pool.Begin(ctx)
	require.NoError(d.t, err)
	for range 1 + d.random.IntN(4) {
		d.write(tx)
	}
	if d.random.IntN(8) == 0 {
		require.NoError(d.t, tx.Rollback(ctx))
		return
	}
	require.NoError(d.t, tx.Commit(ctx))
}

// write runs one random statement in a savepoint, which is rolled back when the
// statement fails, and sometimes when it does not.
func (d *differential) write(in executor) {
	ctx := context.Background()
	sql, args := d.statement()
	tx, err := in.Begin(ctx)
	require.NoError(d.t, err)
	_, err = tx.Exec(ctx, sql, args...)
	if err != nil || d.random.IntN(12) == 0 {
		require.NoError(d.t, tx.Rollback(ctx))
		return
	}
	require.NoError(d.t, tx.Commit(ctx))
}

// statement draws one statement and its parameters.
func (d *differential) statement() (string, []any) {
	r := d.random
	id := func() int64 { return r.Int64N(120) }
	switch r.IntN(16) {
	case 0, 1, 2:
		return "INSERT INTO words VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET word = excluded.word, n = excluded.n",
			[]any{id(), d.word(), d.n(), d.score(), d.at()}
	case 3:
		return "INSERT INTO words SELECT g, $2, $3, $4, $5 FROM generate_series($1::bigint, $1 + 9) g ON CONFLICT DO NOTHING",
			[]any{id(), d.word(), d.n(), d.score(), d.at()}
	case 4:
		return "UPDATE words SET word = $2 WHERE id = $1", []any{id(), d.word()}
	case 5:
		return "UPDATE words SET n = $2, score = $3 WHERE id = $1", []any{id(), d.n(), d.score()}
	case 6:
		return "UPDATE words SET n = n + 7 WHERE n BETWEEN $1 AND $1 + 20", []any{r.IntN(100)}
	case 7:
		return "UPDATE words SET id = $2 WHERE id = $1", []any{id(), id()}
	case 8:
		return "DELETE FROM words WHERE id = $1", []any{id()}
	case 9:
		return "DELETE FROM words WHERE id BETWEEN $1 AND $1 + 5", []any{id()}
	case 10:
		return "UPDATE words SET at = $2 WHERE id % 11 = $1", []any{r.IntN(11), d.at()}
	case 11, 12:
		return "INSERT INTO pairs VALUES ($1, $2, $3) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v",
			[]any{r.IntN(12), *d.solidWord(), d.word()}
	case 13:
		return "UPDATE pairs SET a = $2, b = $3 WHERE a = $1", []any{r.IntN(12), r.IntN(12), *d.solidWord()}
	case 14:
		return "DELETE FROM pairs WHERE a = $1", []any{r.IntN(12)}
	default:
		if r.IntN(12) == 0 {
			return "TRUNCATE words", nil // pairs is locked by the transaction that stays open
		}
		return "WITH gone AS (DELETE FROM words WHERE id = $1 RETURNING *) INSERT INTO words SELECT id + 60, word, n, score, at FROM gone", []any{id()}
	}
}

var vocabularyWords = strings.Split("zebra|Zebra|ZEBRA|zébra|apple|Apple|äpple|apple pie|apple-pie|applepie|a b|ab|a-b|A.B|"+
	"résumé|resume|Résumé|coop|co-op|co op|straße|strasse|ǆ|œuvre|oeuvre|10|9|09|_x|x_| lead|lead |'quote|\"double|\\slash|"+
	"ß|ss|I|ı|i|İ|Ω|ω|\U0001F600|\uFFFD|\u00e9|e\u0301||{}|NULL|,", "|")

func (d *differential) word() *string {
	if d.random.IntN(7) == 0 {
		return nil
	}
	return d.solidWord()
}

func (d *differential) solidWord() *string {
	return &vocabularyWords[d.random.IntN(len(vocabularyWords))]
}

func (d *differential) n() *int32 {
	if d.random.IntN(6) == 0 {
		return nil
	}
	n := d.random.Int32N(100)
	return &n
}

func (d *differential) score() *float64 {
	scores := []float64{-1.5, 0, 1e-300, 2.5, 1e300, 3, 0.1}
	if i := d.random.IntN(len(scores) + 1); i < len(scores) {
		return &scores[i]
	}
	return nil
}

func (d *differential) at() *time.Time {
	if d.random.IntN(5) == 0 {
		return nil
	}
	at := time.Date(2001, 1, 1+d.random.IntN(9), 0, 0, 0, 1000*d.random.IntN(3), time.UTC)
	return &at
}
