package view_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// param gives a parameter a value in JSON.
func param(name, value string) window.Condition {
	return window.Condition{Column: name, Operator: protocol.OpEq, Value: json.RawMessage(value)}
}

// paramVar defines a var with parameters.
func paramVar(name, query string, params ...string) *binding.VarDef {
	return &binding.VarDef{Name: name, Query: query, Params: params, Tables: []string{"numbers"}}
}

// sumOf is the sum of the rows that have their v in some range.
func sumOf() *binding.VarDef {
	return paramVar("sum", "SELECT sum(v)::bigint FROM numbers WHERE (@least::bigint IS NULL OR v >= @least) AND v <= coalesce(@most::bigint, v)",
		"least", "most")
}

// queries counts the queries of vars by their arguments.
type queries struct {
	mu  sync.Mutex
	ran map[string]int
}

// TraceQueryStart implements [pgx.QueryTracer].
func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ran[fmt.Sprintf("%v", data.Args)]++
	return ctx
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// of returns how many queries had the arguments.
func (q *queries) of(args ...any) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ran[fmt.Sprintf("%v", args)]
}

// traced is a pool on the same database that counts queries.
func traced(t *testing.T, pool *pgxpool.Pool) (*pgxpool.Pool, *queries) {
	t.Helper()
	q := &queries{ran: map[string]int{}}
	config := pool.Config()
	config.ConnConfig.Tracer = q
	own, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(own.Close)
	return own, q
}

// varsLive is an engine for vars alone.
type varsLive struct {
	*live
	drains *drains
}

// drains counts the drains that have been committed.
type drains struct {
	listen.Drainer
	done atomic.Int64
}

// Commit implements [listen.Drainer].
func (d *drains) Commit() {
	d.Drainer.Commit()
	d.done.Add(1)
}

// varsWith is vars with a configuration.
func varsWith(t *testing.T, config view.Config, defs ...*binding.VarDef) (*varsLive, []window.ValueSource) {
	t.Helper()
	config.Log, config.Retry = quiet, cmp.Or(config.Retry, 100*time.Millisecond)
	l := &live{t: t, pool: config.Pool, engine: view.New(&config)}
	sources := make([]window.ValueSource, len(defs))
	for i, def := range defs {
		sources[i] = l.variable(def)
	}
	d := &drains{Drainer: l.engine}
	l.run(d)
	return &varsLive{l, d}, sources
}

// change changes the database, and waits until the engine knows.
func (l *varsLive) change(sql string, args ...any) {
	l.t.Helper()
	l.exec(sql, args...)
	for range 2 { // the first may have begun before
		done := l.drains.done.Load()
		l.feed.Kick()
		require.Eventually(l.t, func() bool { return l.drains.done.Load() > done }, patience, patience/10_000)
	}
}

// calls returns all that the source has said, and how many gets each answered.
func (s *valueSink) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// answered waits until there is an answer to every get.
func (s *valueSink) answered() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asked == 0
	}, patience, patience/10_000)
}

// TestVarWithParams has subscribers with equal and with different parameters. Equal ones
// share one query, also where one says null and the other nothing.
func TestVarWithParams(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	l, sources := varsWith(t, view.Config{Pool: pool}, sumOf())
	l.change("INSERT INTO numbers VALUES (1, 1), (2, 2), (3, 3)")
	all, same, some, none := followValue(t, sources[0]), followValue(t, sources[0]), followValue(t, sources[0]), followValue(t, sources[0])
	all.get()
	all.until("6")
	same.get(param("most", "null"))
	same.until("6")
	some.get(param("least", "2"), param("most", `"3"`))
	some.until("5")
	none.get(param("most", "0"))
	none.until("null")
	require.Equal(t, 1, ran.of(nil, nil))
	require.Equal(t, 1, ran.of("2", "3"))
	require.Equal(t, 3, l.engine.VarHeld("sum").Instances)

	l.change("UPDATE numbers SET v = 10 WHERE id = 3")
	all.until("13")
	same.until("13")
	some.until("2")
	require.Equal(t, 2, ran.of(nil, nil))
	l.exec("UPDATE numbers SET v = 0 WHERE id = 1")
	all.until("12")
	none.until("0")
	require.Equal(t, []string{"1 5", "0 2"}, some.calls(), "no change, no message")
}

// TestVarMoves has a subscriber go from one set of parameters to another and back.
func TestVarMoves(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, sumOf())
	l.change("INSERT INTO numbers VALUES (1, 1), (2, 2)")
	mover, stays := followValue(t, sources[0]), followValue(t, sources[0])
	require.Zero(t, l.engine.Followers("sum"), "nothing is followed before the first get")
	for _, s := range []*valueSink{mover, stays} {
		s.get(param("least", "1"))
		s.until("3")
	}
	mover.get(param("least", "2"))
	mover.until("2")
	l.change("UPDATE numbers SET v = 5 WHERE id = 1")
	stays.until("7")
	mover.until("7")
	l.change("UPDATE numbers SET v = 1 WHERE id = 1")
	stays.until("3")
	mover.until("2")
	require.Equal(t, 2, l.engine.Followers("sum"))
	require.Equal(t, []string{"1 3", "1 2", "0 7", "0 2"}, mover.calls(), "the old value is not followed")

	mover.get(param("least", "1"))
	mover.until("3")
	before := ran.of("2", nil)
	l.change("UPDATE numbers SET v = 9 WHERE id = 2")
	stays.until("10")
	mover.until("10")
	l.change("UPDATE numbers SET v = 8 WHERE id = 2")
	stays.until("9")
	require.Equal(t, before, ran.of("2", nil), "nobody follows it")
	require.Equal(t, view.VarHeld{Instances: 2, All: 2, Idle: 1}, l.engine.VarHeld("sum"))
	mover.get(param("least", "2"))
	mover.until("8")
	require.Equal(t, before+1, ran.of("2", nil), "the value from before was not the present one")
}

// TestVarComesBack has subscribers leave and come back within the time of grace: what has
// not changed since is not read again.
func TestVarComesBack(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, sumOf())
	l.change("INSERT INTO numbers VALUES (1, 1)")
	for range 5 {
		s := followValue(t, sources[0])
		s.get(param("least", "1"))
		s.until("1")
		s.sub.Close()
		s.sub.Close()
		s.sub.Get([]window.Condition{param("least", "1")}) // comes too late
	}
	require.Equal(t, 1, ran.of("1", nil))
	require.Equal(t, view.VarHeld{Instances: 1, All: 1, Idle: 1}, l.engine.VarHeld("sum"))
}

// TestVarLetGo has instances that nobody follows go after the time of grace, and no
// others.
func TestVarLetGo(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: 50 * time.Millisecond}, sumOf(), paramVar("plain", "SELECT 1"))
	stays, plain := followValue(t, sources[0]), followValue(t, sources[1])
	stays.get(param("least", "1000"))
	stays.until("null")
	for n := range 20 {
		s := followValue(t, sources[0])
		s.get(param("least", fmt.Sprint(n)))
		s.until("null")
		s.sub.Close()
	}
	plain.get()
	plain.until("1")
	plain.sub.Close()
	require.Eventually(t, func() bool { return l.engine.VarHeld("sum") == view.VarHeld{Instances: 1, All: 1} }, patience, time.Millisecond)
	require.Equal(t, 1, l.engine.VarHeld("plain").Instances, "a var without parameters is kept")
	l.exec("INSERT INTO numbers VALUES (1, 1000)")
	stays.until("1000")
}

// TestMaxVarInstances opens as many instances as there may be, of two vars: what is
// followed is kept, what is not makes room.
func TestMaxVarInstances(t *testing.T) {
	t.Parallel()
	other := paramVar("other", "SELECT @x::bigint", "x")
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: time.Hour, MaxVarInstances: 3}, sumOf(), other, paramVar("plain", "SELECT 1"))
	var sinks []*valueSink
	for n, source := range []window.ValueSource{sources[0], sources[0], sources[1]} {
		s := followValue(t, source)
		s.get(param([]string{"least", "least", "x"}[n], fmt.Sprint(n)))
		s.answered()
		sinks = append(sinks, s)
	}
	sinks[2].until("2")
	late, plain := followValue(t, sources[1]), followValue(t, sources[2])
	late.get(param("x", "7"))
	late.until("!")
	require.Equal(t, []string{"1 too many values of vars with parameters are followed; try again later"}, late.calls())
	late.get(param("x", "2")) // one that is there
	late.until("2")
	plain.get()
	plain.until("1")
	sinks[2].get(param("x", "8")) // it is not alone at its own
	sinks[2].until("!")
	sinks[0].sub.Close()
	late.get(param("x", "7"))
	late.until("7")
	require.Equal(t, view.VarHeld{Instances: 1, All: 3}, l.engine.VarHeld("sum"))
	sinks[2].get(param("x", "8"))
	sinks[2].until("!")
	require.Equal(t, 2, l.engine.VarHeld("other").Instances)
}

// typesOfParams are parameters as JSON, and what the query must make of them.
var typesOfParams = []struct{ query, json, want string }{
	{"SELECT @x::int + 1", "41", "42"},
	{"SELECT @x::int + 1", `"41"`, "42"},
	{"SELECT v FROM numbers WHERE id = @x", "9007199254740993", "9"},
	{"SELECT @x::numeric", "12345678901234567890.10", "12345678901234567890.10"},
	{"SELECT @x::numeric", "1e3", "1000"},
	{"SELECT @x", "1.50", `"1.50"`},
	{"SELECT @x::float8", `"-Infinity"`, "!"},
	{"SELECT (@x::float8 = '-Infinity')", `"-Infinity"`, "true"},
	{"SELECT NOT @x::boolean", "true", "false"},
	{"SELECT NOT @x::boolean", `"f"`, "true"},
	{"SELECT @x::text", "false", `"false"`},
	{"SELECT (@x::date - 1)::text", `"2001-03-01"`, `"2001-02-28"`},
	{"SELECT @x::timestamptz", `"2001-02-03T04:05:06+03:00"`, `"2001-02-03T01:05:06Z"`},
	{"SELECT @x::uuid", `"123E4567-e89b-12d3-a456-426614174000"`, `"123e4567-e89b-12d3-a456-426614174000"`},
	{"SELECT @x > 'low'::level", `"high"`, "true"},
	{"SELECT (@x::int[])[2]", `"{1,2}"`, "2"},
	{"SELECT @x::jsonb -> 'a'", `"{\"a\": [1.50]}"`, "[1.50]"},
	{"SELECT @x::positive + 1", "1", "2"},
	{"SELECT @x::text", `"$1 @x '; DROP TABLE numbers; -- \\ \" \u00e9 \ud83d\ude00"`, `"$1 @x '; DROP TABLE numbers; -- \\ \" é 😀"`},
	{"SELECT length(@x)", `""`, "0"},
	{"SELECT @x::text IS NULL", "null", "true"},
	{"SELECT '@x' || @x /* @y */ || $a$@z$a$ -- @q", `"!"`, `"@x!@z"`},
	{"SELECT @x || @x", `"ab"`, `"abab"`},
	{"SELECT (@ -3) + @x::int", "1", "4"},
}

// TestTypesOfParams has Postgres read values of many types.
func TestTypesOfParams(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	_, err := pool.Exec(context.Background(), `CREATE TYPE level AS ENUM ('low', 'high'); CREATE DOMAIN positive AS int CHECK (value > 0);
		INSERT INTO numbers VALUES (9007199254740993, 9), (9007199254740992, 8)`)
	require.NoError(t, err)
	defs := make([]*binding.VarDef, len(typesOfParams))
	for i, c := range typesOfParams {
		defs[i] = paramVar(fmt.Sprint("v", i), c.query, "x")
	}
	_, sources := varsWith(t, view.Config{Pool: pool}, defs...)
	for i, c := range typesOfParams {
		s := followValue(t, sources[i])
		s.get(param("x", c.json))
		s.until(c.want)
	}
}

// TestBadParams has filters that are none: each is answered by an error that names the
// parameter, and changes nothing.
func TestBadParams(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t)}, sumOf(), paramVar("plain", "SELECT sum(v)::bigint FROM numbers"))
	s, plain := followValue(t, sources[0]), followValue(t, sources[1])
	s.get(param("least", "7"))
	s.until("null")
	compare := func(op protocol.Operator) window.Condition {
		return window.Condition{Column: "least", Operator: op, Value: json.RawMessage("1")}
	}
	half := `"` + strings.Repeat("x", 2049) + `"`
	for _, c := range []struct {
		filter []window.Condition
		want   string
	}{
		{[]window.Condition{param("v", "1")}, "filter: v: the var has no such parameter"},
		{[]window.Condition{param("Least", "1")}, "filter: Least: the var has no such parameter"},
		{[]window.Condition{param("most", "1"), compare(protocol.OpNe)}, "filter: least: a parameter has no operator but eq"},
		{[]window.Condition{compare(protocol.OpIn)}, "filter: least: a parameter has no operator but eq"},
		{[]window.Condition{param("least", "[1]")}, "filter: least: a parameter is a string, number, boolean or null"},
		{[]window.Condition{param("most", "{}")}, "filter: most: a parameter is a string, number, boolean or null"},
		{[]window.Condition{param("least", half), param("most", half)}, "filter: the parameters have more than 4096 bytes together"},
	} {
		s.get(c.filter...)
		s.until("!")
		require.Equal(t, protocol.Other, refusalOf(t, s.err).Code)
		require.Equal(t, c.want, refusalOf(t, s.err).Message)
		s.get(param("least", "7"))
		s.until("null")
	}
	plain.get()
	plain.until("null")
	plain.get(param("least", "1"))
	plain.until("!")
	require.Equal(t, "filter: least: the var has no such parameter", refusalOf(t, plain.err).Message)
	l.exec("INSERT INTO numbers VALUES (1, 6), (2, 8)")
	s.until("8")
	plain.until("14")
}

func refusalOf(t *testing.T, err error) *protocol.Error {
	t.Helper()
	var refusal *protocol.Error
	require.ErrorAs(t, err, &refusal)
	return refusal
}

// TestRefusedParams gives parameters values that Postgres refuses, each in its own way:
// they are refused at once and not tried again, and the subscriber stays where it is.
func TestRefusedParams(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	_, err := pool.Exec(context.Background(), "CREATE DOMAIN positive AS int CHECK (value > 0)")
	require.NoError(t, err)
	def := paramVar("v", "SELECT 100 / @by::positive + count(*)::int FROM numbers WHERE v::text ~ coalesce(@like, '') AND v > coalesce(@zero, -1)::numeric", "by", "like", "zero")
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, def)
	s := followValue(t, sources[0])
	s.get(param("by", "50"))
	s.until("2")
	for _, bad := range []window.Condition{
		param("by", `"x"`), param("by", "1.5"), param("by", "99999999999"), param("by", "-1"), param("by", `""`), param("like", `"("`), param("zero", "true"),
	} {
		late := followValue(t, sources[0])
		for _, sink := range []*valueSink{s, late, s} {
			sink.get(bad)
			sink.until("!")
			require.Equal(t, `filter: var "v" cannot be read with these parameters`, refusalOf(t, sink.err).Message)
			sink.answered()
		}
		require.Zero(t, l.engine.VarFailing("v"), "it is not tried again")
		require.Equal(t, view.VarHeld{Instances: 1, All: 1}, l.engine.VarHeld("v"), "and nothing is kept of it")
		late.get(param("by", "50"))
		late.until("2")
		s.get(param("by", "50"))
		s.until("2")
	}
	l.exec("INSERT INTO numbers VALUES (1, 1)")
	s.until("3")
}

// TestVarWithParamsFails has the query fail for one set of parameters and not for the
// other, and then for all.
func TestVarWithParamsFails(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t)}, paramVar("v", "SELECT 100 / v FROM numbers WHERE id % 10 = @digit::int", "digit"))
	l.exec("INSERT INTO numbers VALUES (1, 50), (2, 25)")
	one, two := followValue(t, sources[0]), followValue(t, sources[0])
	one.get(param("digit", "1"))
	one.until("2")
	two.get(param("digit", "2"))
	two.until("4")
	for _, trouble := range []struct{ make, mend string }{
		{"INSERT INTO numbers VALUES (11, 20)", "DELETE FROM numbers WHERE id = 11"}, // two rows
		{"UPDATE numbers SET v = 0 WHERE id = 1", "UPDATE numbers SET v = 50 WHERE id = 1"},
		{"ALTER TABLE numbers RENAME TO gone", "ALTER TABLE gone RENAME TO numbers"},
	} {
		l.exec(trouble.make)
		require.Eventually(t, func() bool {
			one.get(param("digit", "1"))
			one.answered()
			said := one.all()
			return said[len(said)-1] == "!"
		}, patience, patience/10_000)
		requireRefused(t, one.err)
		l.exec(trouble.mend)
		one.until("2") // without asking again
	}
	require.Eventually(t, func() bool { return l.engine.VarFailing("v") == 0 }, patience, patience/10_000)
	require.Equal(t, "1 4", two.calls()[0])
	l.exec("UPDATE numbers SET v = 20")
	one.until("5")
	two.until("5")
}

// TestFirstGetFails has the table away at the first get: the subscriber hears of the
// value as soon as there is one. Another one, who follows something, stays there.
func TestFirstGetFails(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: time.Hour}, sumOf())
	l.exec("INSERT INTO numbers VALUES (1, 1), (2, 2)")
	other, first := followValue(t, sources[0]), followValue(t, sources[0])
	other.get()
	other.until("3")
	l.exec("ALTER TABLE numbers RENAME TO gone")
	for _, s := range []*valueSink{first, other} {
		s.get(param("least", "2"))
		s.until("!")
		requireRefused(t, s.err)
	}
	l.exec("ALTER TABLE gone RENAME TO numbers")
	first.until("2")
	l.exec("UPDATE numbers SET v = 5 WHERE id = 2")
	first.until("5")
	other.until("6")
	require.Equal(t, []string{"1 the var cannot be read now", "0 2", "0 5"}, first.calls())
	require.Equal(t, []string{"1 3", "1 the var cannot be read now", "0 6"}, other.calls())
}

// TestVarIsTriedAgain has queries fail for what no watched table says: they are tried
// again until they succeed, or until it shows that it is the parameters that are wrong.
func TestVarIsTriedAgain(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	_, err := pool.Exec(context.Background(), "CREATE TABLE shelf (n int); INSERT INTO shelf VALUES (1)")
	require.NoError(t, err)
	def, plain := paramVar("v", "SELECT n + @x::int FROM shelf", "x"), paramVar("plain", "SELECT n FROM shelf")
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, def, plain)
	l.exec("ALTER TABLE shelf RENAME TO away")
	good, bad, other := followValue(t, sources[0]), followValue(t, sources[0]), followValue(t, sources[1])
	good.get(param("x", "41"))
	bad.get(param("x", `"x"`))
	other.get()
	for _, s := range []*valueSink{good, bad, other} {
		s.until("!")
		requireRefused(t, s.err)
	}
	require.Equal(t, 2, l.engine.VarFailing("v"))
	l.exec("ALTER TABLE away RENAME TO shelf")
	good.until("42")
	other.until("1")
	require.Eventually(t, func() bool { return l.engine.VarFailing("v") == 0 }, patience, patience/10_000)
	bad.get(param("x", `"x"`))
	bad.answered()
	require.Equal(t, []string{"1 the var cannot be read now", `1 filter: var "v" cannot be read with these parameters`}, bad.calls())
	bad.get(param("x", "1"))
	bad.until("2")
	require.Equal(t, view.VarHeld{Instances: 2, All: 2}, l.engine.VarHeld("v"))
}

// TestNullIsNotRefused divides by zero: where no parameter was given it cannot be the
// parameters, and the query is tried again.
func TestNullIsNotRefused(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	_, err := pool.Exec(context.Background(), "CREATE TABLE shelf (n int); INSERT INTO shelf VALUES (0)")
	require.NoError(t, err)
	l, sources := varsWith(t, view.Config{Pool: pool}, paramVar("v", "SELECT 100 / n FROM shelf WHERE @x::int IS NULL OR n = @x", "x"))
	null, zero := followValue(t, sources[0]), followValue(t, sources[0])
	null.get(param("x", "null"))
	zero.get(param("x", "0"))
	zero.until("!")
	null.until("!")
	requireRefused(t, null.err)
	require.Equal(t, 1, l.engine.VarFailing("v"))
	l.exec("UPDATE shelf SET n = 50")
	null.until("2")
	require.Equal(t, []string{`1 filter: var "v" cannot be read with these parameters`}, zero.calls())
}

// gated is a var that waits for a lock, which the function that is returned lets go.
func gated(t *testing.T, pool *pgxpool.Pool) (def *binding.VarDef, release func()) {
	t.Helper()
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "SELECT pg_advisory_xact_lock(7)")
	require.NoError(t, err)
	release = func() { _ = tx.Rollback(ctx) } // also a second time
	t.Cleanup(release)
	return paramVar("gated", "SELECT @x::int FROM (SELECT pg_advisory_xact_lock_shared(7)) AS gate", "x"), release
}

// waiters returns how many queries wait at the gate.
func (l *live) waiters() (n int) {
	l.t.Helper()
	err := l.pool.QueryRow(context.Background(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "+
		"(SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&n)
	require.NoError(l.t, err)
	return n
}

// TestGetsInOrder sends gets, good and bad, while a query is under way. Each has its
// answer in its turn; those whose parameters are not the last ones are superseded.
func TestGetsInOrder(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	def, release := gated(t, pool)
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, def)
	s := followValue(t, sources[0])
	one, two, bad := param("x", "1"), param("x", "2"), param("y", "1")
	s.get(bad)
	s.until("!")
	s.get(one)
	require.Eventually(t, func() bool { return l.waiters() == 1 }, patience, patience/10_000)
	for _, c := range []window.Condition{one, bad, one, bad, bad, two, two, one, one, one, bad} {
		s.get(c)
		require.Equal(t, 1, l.engine.Followers("gated")) // taken by itself
	}
	require.Equal(t, view.VarHeld{Instances: 2, All: 2, Idle: 1}, l.engine.VarHeld("gated"))
	release()
	s.answered()
	const no, over = "1 filter: y: the var has no such parameter", "superseded"
	require.Equal(t, []string{no, "2 " + over, no, "1 " + over, no, no, "2 " + over, "3 1", no}, s.calls())
}

// TestGetsAtOnce is TestGetsInOrder for gets that are taken together.
func TestGetsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLive(t, boards(t))
	source := l.variable(paramVar("v", "SELECT @x::int", "x"))
	l.prepare(nil)
	s := followValue(t, source)
	one, two, bad := param("x", "1"), param("x", "2"), param("y", "1")
	for _, c := range []window.Condition{bad, one, one, two, bad, bad, two, bad} {
		s.get(c)
	}
	closed := followValue(t, source)
	closed.get(one)
	closed.sub.Close()
	l.begin()
	s.answered()
	const no, over = "1 filter: y: the var has no such parameter", "superseded"
	require.Equal(t, []string{no, "2 " + over, "1 " + over, no, no, "1 2", no}, s.calls())
	require.Equal(t, 1, l.engine.Followers("v"))
}

// TestChangeWhileQueryRuns has a table change while the query that does not see it is
// under way, and while another one waits for its turn, which will see it.
func TestChangeWhileQueryRuns(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	def, release := gated(t, pool)
	def.Query = "SELECT count(*) + @x::int FROM numbers, (SELECT pg_advisory_xact_lock_shared(7)) AS gate"
	l, sources := varsWith(t, view.Config{Pool: pool}, def)
	l.change("INSERT INTO numbers VALUES (1)")
	sinks := make([]*valueSink, 4)
	for n := range sinks {
		sinks[n] = followValue(t, sources[0])
		sinks[n].get(param("x", fmt.Sprint(n)))
	}
	require.Eventually(t, func() bool { return l.waiters() == 3 }, patience, patience/10_000)
	l.change("INSERT INTO numbers VALUES (2)")
	release()
	for n, s := range sinks {
		s.until(fmt.Sprint(2 + n))
	}
	require.Equal(t, []string{"1 1", "0 2"}, sinks[0].calls())
	require.Equal(t, []string{"1 5"}, sinks[3].calls())
	require.Equal(t, 2, ran.of("0"))
	require.Equal(t, 1, ran.of("3"))
}

// TestVarsLeaveThePool opens many instances whose queries take their time: half of the
// pool runs them, and those that are given up meanwhile are not run.
func TestVarsLeaveThePool(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t)) // of six connections
	def, release := gated(t, pool)
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, def, paramVar("other", "SELECT @x::int", "x"))
	sinks := make([]*valueSink, 20)
	for n := range sinks {
		sinks[n] = followValue(t, sources[0])
		sinks[n].get(param("x", fmt.Sprint(n)))
	}
	other := followValue(t, sources[1])
	other.get(param("x", "5"))
	require.Eventually(t, func() bool { return l.waiters() == 3 }, patience, patience/10_000)
	require.Equal(t, view.VarHeld{Instances: 20, All: 21, Line: 18}, l.engine.VarHeld("gated"))
	for n := 10; n < 20; n++ {
		sinks[n].sub.Close()
	}
	sinks[0].sub.Close() // its query runs
	require.Equal(t, view.VarHeld{Instances: 10, All: 11, Idle: 1, Line: 8}, l.engine.VarHeld("gated"))
	require.Equal(t, 3, l.waiters())
	release()
	for n := 1; n < 10; n++ {
		sinks[n].until(fmt.Sprint(n))
	}
	other.until("5")
	for n := 10; n < 20; n++ {
		require.Zero(t, ran.of(fmt.Sprint(n)))
	}
	require.Equal(t, view.VarHeld{Instances: 10, All: 11, Idle: 1}, l.engine.VarHeld("gated"))
}

// TestGivenUpWhileItRuns has an instance make room for another one while its query is
// under way, which then fails: that is nobody's business anymore.
func TestGivenUpWhileItRuns(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	def, release := gated(t, pool)
	def.Query = "SELECT 1 / (@x::int * one) FROM (SELECT pg_advisory_xact_lock_shared(7), 1 AS one OFFSET 0) AS gate"
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour, MaxVarInstances: 1}, def)
	zero, one := followValue(t, sources[0]), followValue(t, sources[0])
	zero.get(param("x", "0"))
	require.Eventually(t, func() bool { return l.waiters() == 1 }, patience, patience/10_000)
	zero.sub.Close()
	one.get(param("x", "1"))
	require.Eventually(t, func() bool { return l.waiters() == 2 }, patience, patience/10_000)
	release()
	one.until("1")
	require.Eventually(t, func() bool { return l.engine.FreeTurns() == 3 }, patience, patience/10_000)
	require.Equal(t, view.VarHeld{Instances: 1, All: 1}, l.engine.VarHeld("gated"))
	require.Zero(t, l.engine.VarFailing("gated"))
}

// TestSubscribedWithoutGet has a var without parameters followed from the subscription
// on, as version 1 has it.
func TestSubscribedWithoutGet(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t)}, paramVar("plain", "SELECT count(*) FROM numbers"))
	silent, s := followValue(t, sources[0]), followValue(t, sources[0])
	s.get()
	s.until("0")
	l.exec("INSERT INTO numbers VALUES (1)")
	silent.until("1")
}

// TestVarsStartAgain stops and starts the engine while queries of instances run and wait.
func TestVarsStartAgain(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	def, release := gated(t, pool)
	e := view.New(&view.Config{Pool: pool, Log: quiet, Retry: time.Hour, Grace: time.Hour})
	l := &live{t: t, pool: pool, engine: e}
	source := l.variable(def)
	l.prepare(nil)
	for n := range 10 {
		s := followValue(t, source)
		s.get(param("x", fmt.Sprint(n)))
	}
	require.NoError(t, l.feed.Start(context.Background()))
	require.Eventually(t, func() bool { return l.waiters() == 3 }, patience, patience/10_000)
	require.NoError(t, l.feed.Stop(context.Background()))
	require.ErrorIs(t, l.feed.Ready(), listen.ErrNotRunning)
	e.Stop()
	release()
	e.Start(l.feed)
	l.begin()
	require.Equal(t, view.VarHeld{}, e.VarHeld("gated"))
	for n := range 10 {
		s := followValue(t, source)
		s.get(param("x", fmt.Sprint(n)))
		s.until(fmt.Sprint(n))
	}
	require.Equal(t, view.VarHeld{Instances: 10, All: 10}, e.VarHeld("gated"))
}

// TestCheckParams holds queries with parameters against the database.
func TestCheckParams(t *testing.T) {
	t.Parallel()
	e := view.New(&view.Config{Pool: boards(t), Log: quiet})
	wrong := []struct {
		def  *binding.VarDef
		want string
	}{
		{paramVar("unused", "SELECT @x::int -- @y", "x", "y"), `var "unused": the query has 1 parameters, named are ["x" "y"]`},
		{paramVar("numbered", "SELECT @x::int + @me::int + $3::int", "x"), `var "numbered": the query has 3 parameters, named are ["x" "me"]`},
		{paramVar("nobody's", "SELECT $1::int"), `var "nobody's": the query has parameters, which nobody gives`},
		{paramVar("two types", "SELECT @x::int IS NULL OR @x::date IS NULL", "x"), `var "two types": ERROR: cannot cast type integer to date`},
		{paramVar("columns", "SELECT @x::int, 2", "x"), `var "columns": the query gives 2 columns`},
	}
	for _, w := range wrong {
		e.Var(w.def)
	}
	e.Var(paramVar("right", "SELECT @x::int + @y", "y", "x"))
	err := e.Check(context.Background())
	for _, w := range wrong {
		require.ErrorContains(t, err, w.want)
	}
	require.NotContains(t, err.Error(), `"right"`)
}
