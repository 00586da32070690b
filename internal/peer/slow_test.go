package peer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// A peer that does not read costs one folded step for each of its subscriptions,
// however much changes, and has the newest state when it reads again.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, version := range []protocol.Version{protocol.V1, protocol.V2} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			readSlowly(t, version)
		})
	}
}

func readSlowly(t *testing.T, version protocol.Version) {
	t.Helper()
	registry := new(Registry)
	list := memory.NewList[string]("l", &memory.ListOptions{MaxPageSize: 10})
	value := memory.NewVar("v", "")
	require.NoError(t, registry.Add(list, value))
	p := newRunning(&Config{Registry: registry})
	p.Speak(version)
	p.stall = 2 * patient // the test's machine may be slow
	s := &slowReader{tester: rawDial(t, p), version: version}
	s.tester.send(subscribeList, `{"func":"get","type":"list","name":"l"}`,
		`{"func":"subscribe","type":"var","name":"v"}`, `{"func":"get","type":"var","name":"v"}`)
	for s.values == 0 || !s.held.Held {
		s.read(t)
	}

	const changes, newest = 200, "199 "
	big := strings.Repeat("x", 50_000)
	for n := range changes { // 20 MB of messages, were they kept
		text := fmt.Sprint(n, " ", big)
		require.NoError(t, list.Insert(0, text))
		require.NoError(t, value.Set(text))
		requireBounded(t, p, 2, 2)
	}
	s.messages = 0
	for s.held.Total < changes || !strings.HasPrefix(s.value, newest) ||
		len(s.held.Items) != 10 || !strings.HasPrefix(string(s.held.Items[0]), `"`+newest) {
		s.read(t)
	}
	for i, item := range s.held.Items {
		require.True(t, strings.HasPrefix(string(item), fmt.Sprintf(`"%d `, changes-1-i)))
	}
	require.Less(t, s.messages, changes, "most was folded")
	s.tester.close(p)
}

// slowReader follows a list and a var.
type slowReader struct {
	tester   *raw
	version  protocol.Version
	held     protocol.Page
	value    string
	values   int // that came
	messages int
}

// read takes one message.
func (s *slowReader) read(t *testing.T) {
	t.Helper()
	frame, err := s.version.Parse([]byte(s.tester.read()))
	require.NoError(t, err)
	s.messages++
	if frame.Type != protocol.TypeVar {
		_, err = s.held.Apply(&frame)
		require.NoError(t, err)
		return
	}
	set, err := frame.SetVar()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(set.Value, &s.value))
	s.values++
}

// requireBounded looks at what a peer keeps for its connection.
func requireBounded(t *testing.T, p *running, feeds, lines int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.LessOrEqual(t, len(p.out.turns), feeds)
	for _, f := range p.out.turns {
		switch f := f.(type) {
		case *listFeed:
			require.LessOrEqual(t, len(f.lines), lines)
		case *varFeed:
			require.LessOrEqual(t, len(f.lines), lines)
		case *windowFeed:
			require.LessOrEqual(t, len(f.lines), lines)
		case *valueFeed:
			require.LessOrEqual(t, len(f.lines), lines)
		}
	}
}

// A peer that asks without taking the answers is not read any further, and is
// read again when it takes them. Results of functions and errors count in the
// same way.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	const gets, size, limit = 300, 100_000, 500_000
	registry := new(Registry)
	require.NoError(t, registry.Add(memory.NewVar("v", strings.Repeat("x", size))))
	p := newRunning(&Config{Registry: registry, Limits: Limits{ReplyBytes: limit}})
	tester := rawDial(t, p)
	tester.send(`{"func":"subscribe","type":"var","name":"v"}`)
	for range gets {
		tester.send(`{"func":"get","type":"var","name":"v"}`)
	}
	waiting := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.out.waiting()
	}
	require.Eventually(t, func() bool { return waiting() > limit }, patient, time.Millisecond)
	for range gets {
		require.LessOrEqual(t, waiting(), limit+size+2, "the limit and one answer more")
		require.Len(t, tester.read(), size+len(`{"func":"set","type":"var","name":"v","value":""}`))
	}
	require.Zero(t, waiting())
	tester.close(p)
}

// Who takes nothing at all is closed with 4008, also when it is not read because
// of that.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	registry := new(Registry)
	require.NoError(t, registry.Add(memory.NewVar("v", strings.Repeat("x", 1_000_000))))
	p := newRunning(&Config{Registry: registry, ReplyTimeout: 500 * time.Millisecond})
	p.stall = 200 * time.Millisecond
	tester := rawDial(t, p)
	tester.send(`{"func":"subscribe","type":"var","name":"v"}`)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var err error
		for err == nil {
			err = tester.ws.Write(t.Context(), 1, []byte(`{"func":"get","type":"var","name":"v"}`))
		}
	}()
	select {
	case err := <-p.ended:
		require.Equal(t, protocol.CloseTooSlow, wsconn.CloseStatus(err), "%v", err)
	case <-time.After(patient):
		require.Fail(t, "not closed")
	}
	_ = tester.ws.CloseNow()
	<-sent
}
