package peer

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// A timer that was under way when it was stopped is of credentials that are not in force any more, or of a connection that
// has ended.
func TestLateTimers(t *testing.T) {
	t.Parallel()
	p := newOfflineV2(t, &Config{Credentials: as("ann"), Renew: func(context.Context, Credentials) (Credentials, error) {
		t.Error("asked")
		return as("cy"), nil
	}})
	late := p.changed()
	p.SetCredentials(as("bob"))
	p.expire(late)
	require.False(t, p.isRenewing())
	p.lapse(late)
	p.overdue(late)
	require.Empty(t, p.says())
	require.False(t, p.isLapsed())
	require.False(t, p.out.closing)
	p.end(ErrClosed)
	p.expire(p.changed())
	require.False(t, p.isRenewing())
	p.lapse(p.changed())
	require.False(t, p.isLapsed())
}

// awaitsRoom has the reader wait for room, and returns what says whether it does. It is of a bubble.
func awaitsRoom(t *testing.T, p *offline) (waits func() bool) {
	t.Helper()
	read := make(chan struct{})
	go func() { p.awaitRoom(); close(read) }()
	waits = func() bool {
		synctest.Wait()
		select {
		case <-read:
			return false
		default:
			return true
		}
	}
	require.True(t, waits())
	return waits
}

// What is not said when the credentials have ended does not keep the reader from others.
func TestExpiredIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := openedAs(t, &Config{Authenticate: byToken, ExpiryGrace: time.Hour, Limits: Limits{ReplyBytes: 200}})
		bad := getByID("b", `,"page":"bad"`)
		p.takes(bad, bad)
		waits := awaitsRoom(t, p)
		p.expire(p.changed())
		require.False(t, waits(), "it went on waiting")
		p.awaitRoom()
		require.False(t, p.out.closing)
		p.takes(`{"func":"authenticate","token":"ann","id":"a"}`)
		require.Greater(t, p.out.waiting(), 200)
		fails := ofView("error", withID("b")+`,"error_code":5,"message":"page is not an integer or out of range"`)
		require.Equal(t, []string{expiredMessage, okay("a"), fails, fails}, p.says())
		require.Zero(t, p.out.waiting())
	})
}

// Results are shorter as errors, which makes room.
func TestErrorsMakeRoom(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*offline){
		"change": func(p *offline) { p.SetCredentials(as("bob")) },
		"expiry": func(p *offline) { p.expire(p.changed()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
					return json.Marshal(strings.Repeat("x", 500))
				})
				p := newOfflineV2(t, &Config{Credentials: as("ann"), Limits: Limits{ReplyBytes: 400}}, f)
				p.takes(subscribeFunction, callOf("a"))
				synctest.Wait()
				waits := awaitsRoom(t, p)
				act(p)
				require.False(t, waits())
				require.False(t, p.out.closing)
			})
		})
	}
}

// What comes late for the former identity is nobody's, also after the other one has its answer.
func TestLateForTheFormer(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		l, p := openedAs(t, nil)
		old := l.sink
		p.SetCredentials(as("bob"))
		l.sink.Answer(at(3, 1), 1)
		p.takes(getByID("g", `,"page":3`))
		old.Step(oneRow(at(3, 1), at(3, 2)))
		old.Answer(at(3, 3), 1)
		old.Resume(oneRow(at(3, 1), at(3, 4)), 1)
		old.Fail(away, 1)
		old.Still(away)
		require.Empty(t, p.says())
		l.sink.Answer(at(3, 6), 1)
		require.Equal(t, []string{whole("g", 3, 6)}, p.says())
	})
	t.Run("list of version 1", func(t *testing.T) {
		t.Parallel()
		l := new(manual)
		p := newOffline(t, &Config{Credentials: as("ann")}, l)
		p.takes(subscribeList, getPage(1))
		isUser(t, "ann", l.options)
		l.sink.Answer(listState(1, 3), 1)
		require.Equal(t, []string{setAll(1, 3)}, p.says())
		old, first := l.sink, window.Subscription(l)
		p.SetCredentials(as("bob"))
		isUser(t, "bob", l.options)
		require.Same(t, first, l.options.Instead, "the source closes it")
		l.sink.Answer(listState(1, 3), 1)
		p.takes(getPage(1))
		old.Step(stepTo(listState(1, 3), listState(1, 4)))
		old.Answer(listState(1, 5), 1)
		old.Fail(away, 1)
		require.Empty(t, p.says())
		l.sink.Answer(listState(1, 6), 1)
		require.Equal(t, []string{setAll(1, 6)}, p.says())
	})
	t.Run("var", func(t *testing.T) {
		t.Parallel()
		v := new(manualVar)
		p := newOfflineV2(t, &Config{Credentials: as("ann")}, v)
		p.takes(onVar("subscribe", ""), getVar("a", ""))
		isUser(t, "ann", v.options)
		v.sink.Answer(value(1), 1)
		require.Equal(t, []string{setVar("a", 1)}, p.says())
		old := v.sink
		p.SetCredentials(as("bob"))
		isUser(t, "bob", v.options)
		require.Equal(t, 1, v.closed)
		v.sink.Answer(value(1), 1)
		p.takes(getVar("b", ""))
		old.Set(value(2))
		old.Answer(value(3), 1)
		old.Fail(away, 1)
		require.Empty(t, p.says())
		v.sink.Answer(value(6), 1)
		require.Equal(t, []string{setVar("b", 6)}, p.says())
	})
	t.Run("var of version 1", func(t *testing.T) {
		t.Parallel()
		v := new(manualVar)
		p := newOffline(t, &Config{Credentials: as("ann")}, v)
		p.takes(subscribeVar, getV1Var)
		isUser(t, "ann", v.options)
		v.sink.Answer(value(1), 1)
		require.Equal(t, []string{set(1)}, p.says())
		old := v.sink
		p.SetCredentials(as("bob"))
		isUser(t, "bob", v.options)
		require.Equal(t, 1, v.closed)
		v.sink.Answer(value(1), 1)
		p.takes(getV1Var)
		old.Set(value(2))
		old.Answer(value(3), 1)
		old.Fail(away, 1)
		require.Empty(t, p.says())
		v.sink.Answer(value(6), 1)
		require.Equal(t, []string{set(6)}, p.says())
	})
}

// Messages of version 1 about the var "v".
const (
	subscribeVar = `{"func":"subscribe","type":"var","name":"v"}`
	getV1Var     = `{"func":"get","type":"var","name":"v"}`
)

// Who was told that the window stands still is told that it moves again, and nobody else.
func TestStillBeforeAnother(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	l.sink.Still(errors.New("away"))
	require.Equal(t, []string{standsStill("list not available")}, p.says())
	p.SetCredentials(as("bob"))
	l.sink.Answer(at(3, 1), 1)
	require.Equal(t, []string{unchanged("", 1)}, p.says(), "it is the same, and moves again")
	l.sink.Still(errors.New("away"))
	p.SetCredentials(as("cy"))
	l.sink.Answer(at(3, 1), 1)
	require.Empty(t, p.says(), "nobody knows that it stood still")

	l.sink.Still(errors.New("away"))
	require.Len(t, p.says(), 1)
	p.SetCredentials(as("ann"))
	p.SetCredentials(as("bob"))
	l.sink.Still(errors.New("away"))
	require.Empty(t, p.says(), "it is known")
	l.sink.Resume(stepTo(at(3, 1), at(3, 1)), 1)
	require.Equal(t, []string{unchanged("", 1)}, p.says())
}

// triesAgain requires that after a get that failed another one comes after the interval, and not before.
func triesAgain(t *testing.T, gets func() int) {
	t.Helper()
	n := gets()
	time.Sleep(restoreInterval - time.Millisecond)
	synctest.Wait()
	require.Equal(t, n, gets(), "too early")
	time.Sleep(time.Millisecond)
	synctest.Wait()
	require.Equal(t, n+1, gets())
}

// What cannot be read for the other identity is asked for again, now and then.
func TestRestoreIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*testing.T){
		"list": func(t *testing.T) {
			l, p := openedAs(t, nil)
			p.SetCredentials(as("bob"))
			for range 3 {
				l.sink.Fail(errors.New("away"), 1)
				triesAgain(t, func() int { return len(l.asked()) })
			}
			require.Equal(t, []string{standsStill("list not available")}, p.says())
		},
		"list of version 1": func(t *testing.T) {
			l := new(manual)
			p := newOffline(t, &Config{Credentials: as("ann")}, l)
			p.takes(subscribeList, getPage(1))
			l.sink.Answer(listState(1, 3), 1)
			require.Len(t, p.says(), 1)
			p.SetCredentials(as("bob"))
			for range 3 {
				l.sink.Fail(errors.New("away"), 1)
				triesAgain(t, func() int { return len(l.asked()) })
			}
			require.Empty(t, p.says(), "version 1 has no word for it")
			l.sink.Answer(listState(1, 8), 1)
			require.Equal(t, []string{count(8)}, p.says())
			time.Sleep(10 * restoreInterval)
			require.Len(t, l.asked(), 5)
		},
		"var": func(t *testing.T) {
			v := new(manualVar)
			p := newOfflineV2(t, &Config{Credentials: as("ann")}, v)
			p.takes(onVar("subscribe", ""), getVar("a", ""))
			v.sink.Answer(value(1), 1)
			require.Len(t, p.says(), 1)
			p.SetCredentials(as("bob"))
			for range 3 {
				v.sink.Fail(errors.New("away"), 1)
				triesAgain(t, v.asked)
			}
			require.Equal(t, []string{varFails("", "var not available")}, p.says(), "told once")
		},
		"var of version 1": func(t *testing.T) {
			v := new(manualVar)
			p := newOffline(t, &Config{Credentials: as("ann")}, v)
			p.takes(subscribeVar, getV1Var)
			v.sink.Answer(value(1), 1)
			require.Len(t, p.says(), 1)
			p.SetCredentials(as("bob"))
			for range 3 {
				v.sink.Fail(errors.New("away"), 1)
				triesAgain(t, v.asked)
			}
			require.Empty(t, p.says())
			v.sink.Answer(value(8), 1)
			require.Equal(t, []string{set(8)}, p.says())
			time.Sleep(10 * restoreInterval)
			require.Equal(t, 5, v.asked())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, play)
		})
	}
}

// Who is not connected any more, or may not have it, is not asked for again.
func TestRestoreEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*offline){
		"unsubscribed": func(p *offline) { p.takes(onView("unsubscribe", "")) },
		"forbidden":    func(p *offline) { p.SetCredentials(as("dan")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, p := openedAs(t, &Config{Authorize: notDan})
				p.SetCredentials(as("bob"))
				l.sink.Fail(errors.New("away"), 1)
				end(p)
				time.Sleep(10 * restoreInterval)
				synctest.Wait()
				require.Len(t, l.asked(), 2)
			})
		})
	}
}

func notDan(_ context.Context, owner any, _ protocol.ItemType, _ string) error {
	if owner == "dan" {
		return errors.New("not Dan")
	}
	return nil
}

// While credentials are being changed no result is given out that was queued.
func TestResultsAreMuted(t *testing.T) {
	t.Parallel()
	var p *offline
	var during [][]string
	p = newOfflineV2(t, &Config{Credentials: as("ann"), Authorize: func(_ context.Context, owner any, _ protocol.ItemType, _ string) error {
		if owner == "bob" {
			during = append(during, p.says())
		}
		return nil
	}}, function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`"secret"`), nil
	}))
	p.takes(subscribeFunction, callOf("a"))
	p.runs.Wait()
	p.SetCredentials(as("bob"))
	require.Equal(t, [][]string{nil}, during)
	require.Equal(t, []string{
		`{"func":"error","type":"function","name":"f","id":"a","error_code":9,"message":"forbidden"}`,
	}, p.says())
}

// A pause that has not been dealt with, or whose answer was not taken, holds for the other identity, whether or not it is
// answered.
func TestPauseIsAskedAgain(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	p.takes(onView("pause", ""))
	p.SetCredentials(as("bob"))
	l.sink.Answer(at(3, 5), 1)
	require.Equal(t, []string{missing(5, 1)}, p.says(), "no rows")

	p.takes(getByID("a", `,"page":1`), onView("pause", ""))
	p.SetCredentials(as("cy"))
	l.sink.Answer(at(1, 6), 1)
	l.sink.Step(oneRow(at(1, 6), at(1, 7)))
	require.Equal(t, []string{whole("a", 1, 6), missing(7, 1)}, p.says())
	p.takes(onView("resume", `,"id":"r"`))
	require.Equal(t, []string{stepped("r", 7)}, p.says())

	p.takes(getByID("b", `,"page":1`), onView("pause", ""))
	l.sink.Answer(at(1, 8), 1)
	p.SetCredentials(as("ann"))
	l.sink.Answer(at(1, 9), 1)
	l.sink.Step(oneRow(at(1, 9), at(1, 10)))
	require.Equal(t, []string{whole("b", 1, 9), missing(10, 1)}, p.says(), "the answer was not taken")
}

// A window that is held is compared with what the other end was told that it is missing.
func TestMissingForAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to   int
		says []string
	}{
		{1, []string{missing(1, 0)}}, {2, nil}, {3, []string{missing(3, 1)}},
	} {
		l, p := openedAs(t, nil)
		p.takes(onView("pause", ""))
		l.sink.Step(oneRow(at(3, 1), at(3, 2)))
		require.Equal(t, []string{missing(2, 1)}, p.says())
		l.sink.Step(oneRow(at(3, 2), at(3, 3)))
		p.SetCredentials(as("bob"))
		l.sink.Answer(at(3, c.to), 1)
		require.Equal(t, c.says, p.says(), "to %d", c.to)
		p.takes(onView("resume", ""))
		require.Equal(t, []string{string(window.NewStep(at(3, 1), at(3, c.to), "").AsStep().Message("l", protocol.Route{View: "w"}))}, p.says())
	}
}

// stoppedIn reports whether the goroutine that a test started to read is stopped in a method of the peer, by what.
func stoppedIn(test, method, by string) bool {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, g := range strings.Split(string(stacks), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(head, by) && strings.Contains(g, "(*Peer)."+method+"(") && strings.Contains(g, test+".") {
			return true
		}
	}
	return false
}

// A reader that waits for its turn when the credentials end waits on, until it is known whether there are others.
func TestExpiresBeforeTheTurn(t *testing.T) {
	t.Parallel()
	renewed := make(chan Credentials)
	l, p := openedAs(t, &Config{Renew: func(ctx context.Context, _ Credentials) (Credentials, error) {
		select {
		case c := <-renewed:
			return c, nil
		case <-ctx.Done():
			return Credentials{}, ctx.Err()
		}
	}})
	p.turn.Lock()
	read := make(chan struct{})
	go func() { p.takes(getByID("g")); close(read) }()
	require.Eventually(t, func() bool { return stoppedIn(t.Name(), "enter", "sync.Mutex.Lock") }, patient, time.Millisecond)
	p.expire(p.changed())
	p.turn.Unlock()
	isRead := func() bool {
		select {
		case <-read:
			return true
		default:
			return false
		}
	}
	require.Eventually(t, func() bool {
		return isRead() || stoppedIn(t.Name(), "awaitRenewal", "sync.Cond.Wait")
	}, patient, time.Millisecond)
	early := isRead()
	renewed <- as("ann")
	<-read
	require.False(t, early)
	require.Len(t, l.asked(), 2)
}

// Who has asked for no page holds one all the same if a step was shorter whole.
func TestWholeStepOfVersion1(t *testing.T) {
	t.Parallel()
	holds := func(values ...string) *window.State {
		s := listState(0, len(values))
		s.Size, s.Rows = 100, nil
		for _, v := range values {
			s.Rows = append(s.Rows, window.Row{Key: v, JSON: json.RawMessage(v)})
		}
		return s
	}
	l := new(manual)
	p := newOffline(t, &Config{Credentials: as("ann")}, l)
	p.takes(subscribeList)
	l.sink.Step(stepTo(holds("1", "2", "3", "4", "5"), holds("6")))
	require.Equal(t, []string{string(holds("6").SetAll())}, p.says())
	p.SetCredentials(as("bob"))
	l.sink.Answer(holds("7"), 1)
	require.Equal(t, []string{string(holds("7").SetAll())}, p.says())
}

// What the same owner may not use any more is not said either.
func TestSameOwnerForbidden(t *testing.T) {
	t.Parallel()
	denied := false
	cfg := &Config{Credentials: as("ann"), Authorize: func(context.Context, any, protocol.ItemType, string) error {
		if denied {
			return errors.New("not now")
		}
		return nil
	}}
	l := new(manual)
	p := newOfflineV2(t, cfg, l, function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`"secret"`), nil
	}))
	p.takes(onView("subscribe", ""), getByID("first"), subscribeFunction, callOf("c"))
	p.runs.Wait()
	l.sink.Answer(at(0, 1), 1)
	denied = true
	p.SetCredentials(as("ann"))
	said := p.says()
	require.ElementsMatch(t, []string{
		`{"func":"error","type":"function","name":"f","id":"c","error_code":9,"message":"forbidden"}`,
		`{"func":"error","type":"function","name":"f","error_code":9,"message":"forbidden"}`,
		superseded("first"), forbiddenView(),
	}, said)
}

// What the other end provides is taken as ever when the credentials have ended.
func TestExpiredFollows(t *testing.T) {
	t.Parallel()
	p := newOfflineV2(t, nil)
	v := NewRemoteVar("v", nil)
	require.NoError(t, p.Follow(v))
	var get struct{ View, ID string }
	said := p.says()
	require.NoError(t, json.Unmarshal([]byte(said[len(said)-1]), &get))
	p.expire(p.changed())
	require.Equal(t, []string{expiredMessage}, p.says())
	p.takes(`{"func":"set","type":"var","name":"v","view":"` + get.View + `","id":"` + get.ID + `","value":7}`)
	require.Empty(t, p.says())
	got, known := v.Value()
	require.True(t, known)
	require.JSONEq(t, "7", string(got))
}

// A get whose answer was not taken, and that fails for the other identity, leaves the window where it was.
func TestAnchorOfTheShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(manual)
		p := newOfflineV2(t, &Config{Credentials: as("ann")}, l)
		p.takes(onView("subscribe", ""), getByID("g", `,"after":[1]`))
		l.sink.Answer(behind(1, 1), 1)
		require.Len(t, p.says(), 1)
		p.takes(getByID("b", `,"after":[9]`))
		l.sink.Answer(behind(9, 2), 1)
		p.SetCredentials(as("bob"))
		l.sink.Fail(errors.New("away"), 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		want := window.Want{Size: 2, Anchored: true, After: []json.RawMessage{[]byte(`1`)}, Rev: "7.1"}
		require.Equal(t, want, l.wants[3])
		require.Len(t, p.says(), 1, "while it is restored")
		p.SetCredentials(as("cy"))
		require.Equal(t, want, l.wants[4])
	})
}

// Errors that wait for no get are said at once.
func TestErrorsOfAnother(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOfflineV2(t, &Config{Credentials: as("ann")}, v)
	p.takes(onVar("subscribe", ""), getVar("a", ""))
	v.sink.Answer(value(1), 1)
	require.Equal(t, []string{setVar("a", 1)}, p.says())
	p.takes(getVar("b", `,"filter":{"x":[]}`))
	p.SetCredentials(as("bob"))
	require.Equal(t, []string{
		varFails("b", "filter: x: eq takes a string, number, boolean or null, of at most 4096 bytes"),
	}, p.says())
}

// A result that comes when the same owner may not use the function any more is not said.
func TestRunningCallForbidden(t *testing.T) {
	t.Parallel()
	denied, gate := false, make(chan struct{})
	p := newOfflineV2(t, &Config{Credentials: as("ann"), Authorize: func(context.Context, any, protocol.ItemType, string) error {
		if denied {
			return errors.New("not now")
		}
		return nil
	}}, function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		<-gate
		return json.RawMessage(`"secret"`), nil
	}))
	p.takes(subscribeFunction, callOf("c"))
	denied = true
	p.SetCredentials(as("ann"))
	require.Equal(t, []string{`{"func":"error","type":"function","name":"f","error_code":9,"message":"forbidden"}`}, p.says())
	close(gate)
	p.runs.Wait()
	require.Equal(t, []string{
		`{"func":"error","type":"function","name":"f","id":"c","error_code":9,"message":"forbidden"}`,
	}, p.says())
}

// In version 1, what was asked on nobody's behalf is no get of the other end, also when it is asked again.
func TestTwoChangesOfVersion1(t *testing.T) {
	t.Parallel()
	l, v := new(manual), new(manualVar)
	p := newOffline(t, &Config{Credentials: as("ann")}, l, v)
	p.takes(subscribeList, getPage(1), subscribeVar, getV1Var)
	l.sink.Answer(listState(1, 3), 1)
	v.sink.Answer(value(1), 1)
	require.Equal(t, []string{setAll(1, 3), set(1)}, p.says())
	p.SetCredentials(as("bob"))
	p.SetCredentials(as("cy"))
	l.sink.Answer(listState(1, 3), 1)
	v.sink.Answer(value(1), 1)
	require.Empty(t, p.says())
}

// In version 1 too the page goes on from what was taken, and every get that was not answered has its error.
func TestNotTakenOfVersion1(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, &Config{Credentials: as("ann")}, l)
	p.takes(subscribeList, getPage(1))
	l.sink.Answer(listState(1, 3), 1)
	require.Equal(t, []string{setAll(1, 3)}, p.says())
	l.sink.Step(stepTo(listState(1, 3), listState(1, 4)))
	p.SetCredentials(as("bob"))
	l.sink.Answer(listState(1, 4), 1)
	require.Equal(t, []string{count(4)}, p.says())
	p.takes(getPage(1), getPage(2))
	l.sink.Answer(listState(2, 5), 2)
	p.SetCredentials(as("cy"))
	l.sink.Fail(errors.New("away"), 1)
	require.Equal(t, []string{errorNoList, errorNoList}, p.says())
}
