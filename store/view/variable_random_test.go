package view_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// share is the published value of the var of TestVarsAtRandom: the parameter that it is
// for, and the sum of the rows that the parameter chooses.
type share struct {
	Of  *int64 `json:"of"`
	Sum int64  `json:"sum"`
}

// shareSink checks every value that a subscriber is told, while writers only count up.
type shareSink struct {
	t     *testing.T
	sub   window.ValueSubscription
	mu    sync.Mutex
	asked []string // the parameters of unanswered gets
	at    string   // of the value that it follows
	last  share
	seen  map[string]int64 // the greatest sum so far of each
	over  int              // superseded gets
}

func (s *shareSink) get(of string) {
	s.mu.Lock()
	s.asked = append(s.asked, of)
	s.mu.Unlock()
	s.sub.Get([]window.Condition{param("of", of)})
}

func (s *shareSink) take(v *window.Value, of string) {
	s.last = share{}
	if err := json.Unmarshal(v.JSON, &s.last); err != nil {
		s.t.Error(err)
	}
	have := "null"
	if s.last.Of != nil {
		have = fmt.Sprint(*s.last.Of)
	}
	if have != of {
		s.t.Errorf("a value for %s came where one for %s was due", have, of)
	}
	if s.last.Sum < s.seen[of] {
		s.t.Errorf("the sum for %s fell from %d to %d", of, s.seen[of], s.last.Sum)
	}
	s.at, s.seen[of] = of, s.last.Sum
}

// Set implements window.ValueSink.
func (s *shareSink) Set(v *window.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(v, s.at)
}

// Answer implements window.ValueSink.
func (s *shareSink) Answer(v *window.Value, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.asked[:gets] {
		s.take(v, of)
	}
	s.asked = s.asked[gets:]
}

// Fail implements window.ValueSink. Nothing fails, but gets are superseded by others.
func (s *shareSink) Fail(err error, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gets >= len(s.asked) || slices.Contains(s.asked[gets:gets+1], s.asked[0]) || !strings.HasSuffix(err.Error(), ": superseded") {
		s.t.Errorf("%d of %v: %v", gets, s.asked, err)
	}
	s.asked, s.over = s.asked[gets:], s.over+gets
}

func (s *shareSink) rest(want map[string]int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked) == 0 && (s.at == "" || s.last.Sum == want[s.at])
}

// TestVarsAtRandom has subscribers choose parameters at random while writers count up:
// every value is one for the parameters that were asked for last, no sum falls, and in
// the end each is what Postgres says. Instances come and go meanwhile.
func TestVarsAtRandom(t *testing.T) {
	t.Parallel()
	def := paramVar("share", "SELECT jsonb_build_object('of', @of::bigint, 'sum', sum(v)) FROM numbers WHERE @of IS NULL OR id % 7 = @of", "of")
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: time.Microsecond}, def)
	l.exec("INSERT INTO numbers SELECT g, 0 FROM generate_series(0, 29) g")
	sinks := make([]*shareSink, 12)
	var wg sync.WaitGroup
	for n := range sinks {
		s := &shareSink{t: t, seen: map[string]int64{}}
		s.sub = sources[0].Subscribe(s, window.Options{})
		t.Cleanup(s.sub.Close)
		sinks[n] = s
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			for range 60 {
				s.get([]string{"null", "0", "1", "2", "3", "4", "5", "6"}[r.IntN(8)])
				if r.IntN(3) == 0 {
					l.engine.Followers("share") // wait a little
				}
			}
		})
	}
	for n := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 2))
			for range 100 {
				_, err := l.pool.Exec(context.Background(), // in one order, or the writers deadlock
					"UPDATE numbers SET v = v + 1 WHERE id IN (SELECT id FROM numbers WHERE id % $1 = $2 ORDER BY id FOR UPDATE)", 2+r.IntN(9), n)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := l.shares()
	over := 0
	for _, s := range sinks {
		require.Eventually(t, func() bool { return s.rest(want) }, patience, patience/10_000, "%v", want)
		over += s.over
		s.sub.Close()
	}
	require.NotZero(t, over, "no get was superseded")
	require.Eventually(t, func() bool { return l.engine.VarHeld("share") == view.VarHeld{} }, patience, patience/10_000)
}

// shares asks Postgres for the sums.
func (l *varsLive) shares() map[string]int64 {
	l.t.Helper()
	rows, err := l.pool.Query(context.Background(), "SELECT coalesce((id % 7)::text, 'null'), sum(v)::bigint FROM numbers GROUP BY ROLLUP (id % 7)")
	require.NoError(l.t, err)
	want := map[string]int64{}
	var of string
	var sum int64
	_, err = pgx.ForEachRow(rows, []any{&of, &sum}, func() error {
		want[of] = sum
		return nil
	})
	require.NoError(l.t, err)
	return want
}

// FuzzVarParams takes filters as they come over the wire. Whatever they hold, the values
// are what they say, and equal keys are of equal values.
func FuzzVarParams(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{"a":"1","b":null}`))
	f.Add([]byte(`{"a":"1:1","b":""}`), []byte(`{"a":"1","b":"1:"}`))
	f.Add([]byte(`{"b":{"eq":true},"a":"-"}`), []byte(`{"b":"true"}`))
	f.Add([]byte(`{"a":"\ud83d\ude00","c":2}`), []byte(`{"a":{"lt":2}}`))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		k, values, ok := resolved(t, one)
		l, others, also := resolved(t, two)
		if ok && also {
			require.Equal(t, slices.Equal(values, others), k == l)
		}
	})
}

// resolved returns the parameters a and b of a get with the filter.
func resolved(t *testing.T, filter []byte) (key string, values []any, ok bool) {
	message := slices.Concat([]byte(`{"func":"get","type":"var","name":"v","filter":`), filter, []byte("}"))
	frame, err := protocol.V2.Parse(message)
	if err != nil {
		return "", nil, false
	}
	get, err := frame.GetVar()
	if err != nil {
		return "", nil, false
	}
	key, values, err = view.ResolveParams([]string{"a", "b"}, get.Filter)
	if err != nil {
		require.Equal(t, protocol.Other, refusalOf(t, err).Code)
		return "", nil, false
	}
	require.Len(t, values, 2)
	require.LessOrEqual(t, len(key), 4096+2*len("4096:"))
	given := map[string]any{"a": nil, "b": nil}
	for _, c := range get.Filter {
		given[c.Column] = asText(t, c.Value)
	}
	require.Equal(t, []any{given["a"], given["b"]}, values)
	return key, values, true
}

// asText is the text of a JSON scalar: of a string what it holds, of anything else how it
// is written.
func asText(t *testing.T, raw json.RawMessage) any {
	raw = bytes.TrimSpace(raw)
	if string(raw) == "null" {
		return nil
	}
	if raw[0] != '"' {
		return string(raw)
	}
	var text string
	require.NoError(t, json.Unmarshal(raw, &text))
	return text
}
