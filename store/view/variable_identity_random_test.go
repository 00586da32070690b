package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// belongs is the published value of the vars of TestIdentitiesAtRandom: which state it is of, whose it is, for which
// parameter, and the sum of the rows.
type belongs struct {
	Tick int64   `json:"tick"`
	Who  *string `json:"who"`
	Of   *int64  `json:"of"`
	Sum  int64   `json:"sum"`
}

// ownership is a table of notes in Go, and what each user has had of it in every state so far.
type ownership struct {
	owner map[int64]string
	v     map[int64]int64

	mu   sync.Mutex
	sums []map[string]int64 // by the number of the state; of a user, and of a user and a parameter
}

// keep notes the sums of the state that is about to be committed.
func (o *ownership) keep() (tick int) {
	sums := map[string]int64{}
	for id, owner := range o.owner {
		sums[owner+"/null"] += o.v[id]
		sums[fmt.Sprintf("%s/%d", owner, id%3)] += o.v[id]
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sums = append(o.sums, sums)
	return len(o.sums) - 1
}

// at is the sum of a state, and whether it is the last one.
func (o *ownership) at(tick int64, who, of string) (sum int64, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sums[tick][who+"/"+of], int(tick) == len(o.sums)-1
}

// draw changes a row, gives it to somebody else, adds or removes one, and returns the statement.
func (o *ownership) draw(r *rand.Rand, users []string) (sql string, args []any) {
	id, owner := r.Int64N(12), users[r.IntN(len(users))]
	_, there := o.owner[id]
	switch n := r.IntN(8); {
	case !there:
		o.owner[id], o.v[id] = owner, 1+r.Int64N(1000)
		return "INSERT INTO notes VALUES ($1, $2, $3)", []any{id, owner, o.v[id]}
	case n == 0:
		delete(o.owner, id)
		return "DELETE FROM notes WHERE id = $1", []any{id}
	case n < 5:
		o.owner[id] = owner
		return "UPDATE notes SET owner = $2 WHERE id = $1", []any{id, owner}
	}
	o.v[id] = 1 + r.Int64N(1000)
	return "UPDATE notes SET v = $2 WHERE id = $1", []any{id, o.v[id]}
}

// write commits states one after the other.
func (o *ownership) write(ctx context.Context, l *varsLive, users []string, states int) error {
	r := rand.New(rand.NewPCG(7, 7))
	for range states {
		err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			for range 1 + r.IntN(3) {
				sql, args := o.draw(r, users)
				if _, err := tx.Exec(ctx, sql, args...); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "UPDATE tick SET n = $1", o.keep())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ownSink checks every value that a subscriber is told against its own state.
type ownSink struct {
	t     *testing.T
	model *ownership
	who   string
	sub   window.ValueSubscription

	mu    sync.Mutex
	asked []string         // the parameters of unanswered gets
	at    string           // of the value that it follows
	ticks map[string]int64 // the last state that was told of each
	told  int
	over  int
}

func (s *ownSink) get(of string) {
	s.mu.Lock()
	s.asked = append(s.asked, of)
	s.mu.Unlock()
	if of == "" {
		s.sub.Get(nil)
		return
	}
	s.sub.Get([]window.Condition{param("of", of)})
}

func (s *ownSink) take(v *window.Value, of string) {
	var have belongs
	if err := json.Unmarshal(v.JSON, &have); err != nil {
		s.t.Error(err)
	}
	who, which := null, "null"
	if have.Who != nil {
		who = *have.Who
	}
	if have.Of != nil {
		which = fmt.Sprint(*have.Of)
	}
	if of == "" { // a var without parameters
		of = "null"
	}
	want, _ := s.model.at(have.Tick, s.who, of)
	if who != s.who || which != of || have.Sum != want {
		s.t.Errorf("%q for %s was told %s, its sum is %d", s.who, of, v.JSON, want)
	}
	if have.Tick < s.ticks[of] {
		s.t.Errorf("%q for %s went from state %d back to %d", s.who, of, s.ticks[of], have.Tick)
	}
	s.ticks[of] = have.Tick
	s.told++
}

// Set implements window.ValueSink.
func (s *ownSink) Set(v *window.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(v, s.at)
}

// Answer implements window.ValueSink.
func (s *ownSink) Answer(v *window.Value, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.asked[:gets] {
		s.at = of
		s.take(v, of)
	}
	s.asked = s.asked[gets:]
}

// Fail implements window.ValueSink. Nothing fails, but gets are superseded by others.
func (s *ownSink) Fail(err error, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasSuffix(err.Error(), ": superseded") {
		s.t.Errorf("%d of %v: %v", gets, s.asked, err)
	}
	s.asked, s.over = s.asked[gets:], s.over+gets
}

// answered reports whether nothing that it has asked for is to come.
func (s *ownSink) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked) == 0
}

// rest reports whether it has been told the last state.
func (s *ownSink) rest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.at
	if of == "" {
		of = "null"
	}
	_, last := s.model.at(s.ticks[of], s.who, of)
	return len(s.asked) == 0 && (s.told == 0 && s.at == "" || last)
}

// wander has a subscriber ask for parameters and become somebody else, at random. All that it was are returned.
func wander(t *testing.T, source window.ValueSource, model *ownership, users []string, seed uint64) (all []*ownSink) {
	r := rand.New(rand.NewPCG(seed, 3))
	choices := []string{"null", "0", "1", "2"}
	if seed%2 == 1 {
		choices = []string{""}
	}
	var old *ownSink
	for range 60 {
		if old == nil || r.IntN(5) == 0 {
			s := &ownSink{t: t, model: model, who: users[r.IntN(len(users))], ticks: map[string]int64{}}
			options := window.Options{Identity: whose("me", s.who, "noise", fmt.Sprint(r.Int()))}
			if old != nil {
				options.Instead = former{old.sub}
			}
			s.sub = source.Subscribe(s, options)
			all, old = append(all, s), s
		}
		if r.IntN(3) > 0 {
			old.get(choices[r.IntN(len(choices))])
		}
		if r.IntN(3) == 0 {
			assert.Eventually(t, old.answered, patience, patience/10_000)
		}
	}
	return all
}

// TestIdentitiesAtRandom has subscribers be this one and that one, over a var whose query names who they are and one of
// which a policy shows each the own rows, while rows go from one to the other. Every value that somebody is told is what
// belonged to them in the state that it says it is of, and states go forward.
func TestIdentitiesAtRandom(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := boards(t)
	role := newRole(t, pool, "")
	_, err := pool.Exec(ctx, `CREATE TABLE notes (id bigint PRIMARY KEY, owner text, v bigint); CREATE TABLE tick (id int PRIMARY KEY, n bigint);
		INSERT INTO tick VALUES (1, 0); GRANT SELECT ON notes, tick TO `+role+`; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = nullif(current_setting('app.me'), ''))`)
	require.NoError(t, err)
	const value = "SELECT jsonb_build_object('tick', (SELECT n FROM tick), 'who', %s, 'of', %s, 'sum', (SELECT coalesce(sum(v), 0) FROM notes WHERE %s))"
	tables := []string{"notes", "tick"}
	named := &binding.VarDef{
		Name: "named", Tables: tables, Params: []string{"of"},
		Query: fmt.Sprintf(value, "@me::text", "@of::bigint", "owner = @me AND (@of IS NULL OR id % 3 = @of)"),
	}
	ruled := &binding.VarDef{
		Name: "ruled", Tables: tables, Role: role, Settings: []binding.Setting{{Name: "app.me", Value: "me"}},
		Query: fmt.Sprintf(value, "nullif(current_setting('app.me'), '')", "NULL::int", "true"),
	}
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Microsecond}, named, ruled)

	users := []string{"ann", "bob", "o'neil", "1", null}
	model := &ownership{owner: map[int64]string{}, v: map[int64]int64{}}
	model.keep()
	var wg sync.WaitGroup
	sinks := make([][]*ownSink, 8)
	for n := range sinks {
		wg.Go(func() { sinks[n] = wander(t, sources[n%2], model, users, uint64(n)) })
	}
	wg.Go(func() {
		if err := model.write(ctx, l, users[:4], 150); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	told, over := map[string]int{}, 0
	for _, all := range sinks {
		last := all[len(all)-1]
		require.Eventually(t, last.rest, patience, patience/10_000)
		last.sub.Close()
		for _, s := range all {
			told[s.who] += s.told
			over += s.over
		}
	}
	for _, user := range users {
		require.NotZero(t, told[user], "%q was told nothing", user)
	}
	require.NotZero(t, over, "no get was superseded")
	for _, name := range []string{"named", "ruled"} {
		require.Eventually(t, func() bool { return l.engine.VarHeld(name) == view.VarHeld{} }, patience, patience/10_000)
	}
}
