package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// as are the credentials of a user.
func as(user string) Credentials {
	return Credentials{Owner: user, Identity: window.Identity{"user": &user}}
}

// isUser requires that a subscription is of a user.
func isUser(t *testing.T, user string, o window.Options) {
	t.Helper()
	require.Equal(t, window.Identity{"user": &user}, o.Identity)
}

// goesOn is what is said of a window of the view "w" that goes from one state to another.
func goesOn(from, to *window.State) string {
	return string(window.NewStep(from, to, "").Shared().Message("l", protocol.Route{View: "w"}))
}

func forbiddenView() string { return ofView("error", `,"error_code":9,"message":"forbidden"`) }

// openedAs is opened for Ann.
func openedAs(t *testing.T, cfg *Config) (*manual, *offline) {
	t.Helper()
	l := new(manual)
	if cfg == nil {
		cfg = new(Config)
	}
	cfg.Credentials = as("ann")
	p := newOfflineV2(t, cfg, l)
	p.takes(onView("subscribe", ""), getByID("first", `,"page":3,"rev":"1.1"`))
	isUser(t, "ann", l.options)
	l.sink.Answer(at(3, 1), 1)
	require.Equal(t, []string{whole("first", 3, 1)}, p.says())
	return l, p
}

// The window that is shown goes on for another identity by one step, from what was taken.
func TestIdentityChanges(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	old, first := l.sink, window.Subscription(l)
	old.Step(oneRow(at(3, 1), at(3, 2)))
	p.SetCredentials(as("bob"))
	isUser(t, "bob", l.options)
	require.Same(t, first, l.options.Instead)
	require.True(t, l.options.Quiet)
	require.NotNil(t, l.options.Account)
	require.Equal(t, as("bob"), p.Credentials())
	require.Empty(t, p.says(), "what was queued for Ann")
	require.Len(t, l.wants, 2)
	require.Equal(t, window.Want{Page: 3, Size: 2, Rev: "7.1"}, l.wants[1], "what was told last")
	old.Step(oneRow(at(3, 2), at(3, 3)))
	old.Still(errors.New("away"))
	old.Answer(at(3, 4), 1)
	require.Empty(t, p.says(), "what is late for Ann")
	l.sink.Answer(at(3, 9), 1)
	require.Equal(t, []string{goesOn(at(3, 1), at(3, 9))}, p.says())
	l.sink.Step(oneRow(at(3, 9), at(3, 10)))
	require.Equal(t, []string{stepped("", 10)}, p.says())
	require.False(t, l.isClosed(), "the source closes it")
}

// Nobody is told of an identity that sees the same, and the states may be known to the source.
func TestIdentitySeesTheSame(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	p.SetCredentials(as("bob"))
	l.sink.Resume(stepTo(at(3, 5), at(3, 1)), 1)
	require.Empty(t, p.says())
	p.SetCredentials(as("cy"))
	l.sink.Step(oneRow(at(3, 1), at(3, 2)))
	require.Empty(t, p.says(), "before it is known what Cy sees")
	l.sink.Resume(stepTo(at(3, 5), at(3, 6)), 1)
	require.Equal(t, []string{goesOn(at(3, 1), at(3, 6))}, p.says(), "from what the other end holds")
}

// The same identity keeps its subscriptions.
func TestSameIdentity(t *testing.T) {
	t.Parallel()
	asked := 0
	l, p := openedAs(t, &Config{Authorize: func(context.Context, any, protocol.ItemType, string) error { asked++; return nil }})
	sink := l.sink
	sink.Step(oneRow(at(3, 1), at(3, 2)))
	p.SetCredentials(as("ann"))
	require.Equal(t, 2, asked, "authorized again")
	require.Same(t, sink, l.sink)
	require.Equal(t, []string{stepped("", 2)}, p.says())
}

// Gets that have no answer, or one that was not taken, are asked again, in their order and without what they held.
func TestGetsAreAskedAgain(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	p.takes(getByID("a", `,"page":1`), onView("pause", `,"id":"p"`), getByID("b", `,"page":"bad"`), getByID("c", `,"page":2,"rev":"7.1"`))
	l.sink.Answer(at(1, 5), 1)
	p.SetCredentials(as("bob"))
	require.Empty(t, p.says())
	require.Equal(t, []window.Want{{Page: 1, Size: 2}, {Page: 2, Size: 2}}, l.wants[3:])
	l.sink.Answer(at(1, 6), 1)
	require.Equal(t, []string{
		whole("a", 1, 6), okay("p"), ofView("error", withID("b")+`,"error_code":5,"message":"page is not an integer or out of range"`),
	}, p.says())
	l.sink.Answer(at(2, 7), 1)
	require.Equal(t, []string{whole("c", 2, 7)}, p.says())
}

// If a get of the other end fails, the window that it holds is asked for; our own failures are told as standing still, and
// we try again.
func TestRestoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, p := openedAs(t, nil)
		p.takes(getByID("a", `,"page":1`))
		p.SetCredentials(as("bob"))
		require.Len(t, l.asked(), 3)
		l.sink.Fail(errors.New("away"), 1)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{ofView("error", withID("a")+`,"error_code":8,"message":"list not available"`)}, p.says())
		require.Len(t, l.asked(), 4, "at once")
		require.Equal(t, [2]int{3, 2}, l.asked()[3])
		for range 2 {
			l.sink.Fail(errors.New("away"), 1)
		}
		require.Equal(t, []string{standsStill("list not available")}, p.says())
		for n := range 3 {
			require.Len(t, l.asked(), 4+n)
			time.Sleep(restoreInterval)
			synctest.Wait()
			require.Len(t, l.asked(), 5+n)
			l.sink.Fail(errors.New("away"), 1)
			require.Empty(t, p.says(), "it is known")
		}
		time.Sleep(restoreInterval)
		synctest.Wait()
		l.sink.Answer(at(3, 1), 1)
		require.Equal(t, []string{unchanged("", 1)}, p.says(), "it moves again")
		time.Sleep(10 * restoreInterval)
		require.Len(t, l.asked(), 8)
	})
}

// A window that begins behind a row is asked for where it begins by now, or, if nobody knows the row, at the start.
func TestAnchorOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(manual)
		p := newOfflineV2(t, &Config{Credentials: as("ann")}, l)
		p.takes(onView("subscribe", ""), getByID("g", `,"after":[1]`))
		l.sink.Answer(behind(1, 1), 1)
		p.says()
		l.sink.Step(stepTo(behind(1, 1), behind(2, 2)))
		p.SetCredentials(as("bob"))
		require.Equal(t, window.Want{Size: 2, Anchored: true, After: []json.RawMessage{[]byte(`2`)}, Rev: "7.1"}, l.wants[1])
		p.SetCredentials(as("cy"))
		require.Equal(t, []json.RawMessage{[]byte(`2`)}, l.wants[2].After, "also when it has not come")
		l.sink.Fail(window.Refusal("after: no such row"), 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Nil(t, l.wants[3].After)
		require.True(t, l.wants[3].Anchored)
		require.Empty(t, p.says())
		start := behind(2, 5)
		start.After = nil
		l.sink.Answer(start, 1)
		require.Equal(t, []string{goesOn(behind(1, 1), start)}, p.says())
	})
}

// A window that is held stays held, and is resumed by one step.
func TestPauseOutlivesIdentity(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	p.takes(onView("pause", `,"id":"p"`))
	require.Equal(t, []string{okay("p")}, p.says())
	l.sink.Step(oneRow(at(3, 1), at(3, 2)))
	p.SetCredentials(as("bob"))
	require.Empty(t, p.says(), "what Ann is missing")
	l.sink.Answer(at(3, 5), 1)
	require.Equal(t, []string{missing(5, 1)}, p.says())
	p.takes(onView("resume", `,"id":"r"`))
	p.SetCredentials(as("cy"))
	require.Equal(t, []string{unchanged("r", 1)}, p.says(), "of Bob's nothing")
	l.sink.Answer(at(3, 7), 1)
	require.Equal(t, []string{goesOn(at(3, 1), at(3, 7))}, p.says())
}

// What the new identity may not use ends, and says so.
func TestIdentityForbidden(t *testing.T) {
	t.Parallel()
	refused := func(_ context.Context, owner any, _ protocol.ItemType, _ string) error {
		if owner == "bob" {
			return errors.New("not Bob")
		}
		return nil
	}
	l, p := openedAs(t, &Config{Authorize: refused})
	l.sink.Step(oneRow(at(3, 1), at(3, 2)))
	p.takes(getByID("a"), getByID("b"))
	l.sink.Answer(at(0, 5), 1)
	p.SetCredentials(as("bob"))
	require.Equal(t, []string{superseded("a"), superseded("b"), forbiddenView()}, p.says())
	require.True(t, l.isClosed())
	l.sink.Step(oneRow(at(0, 5), at(0, 6)))
	for _, fn := range []string{"get", "subscribe", "unsubscribe", "nonsense"} {
		p.takes(onView(fn, `,"id":"i"`))
		require.Equal(t, []string{ofView("error", `,"id":"i","error_code":9,"message":"forbidden"`)}, p.says())
	}
}

// restrictedList needs a user.
type restrictedList struct{ *manual }

func (restrictedList) Permits(id window.Identity) error {
	if id["user"] == nil {
		return errors.New("nobody")
	}
	return nil
}

// A source that needs more than the identity has is refused as by Authorize, in each version its own way.
func TestRestricted(t *testing.T) {
	t.Parallel()
	p := newOfflineV2(t, nil, restrictedList{new(manual)})
	p.takes(onView("subscribe", `,"id":"s"`))
	require.Equal(t, []string{ofView("error", `,"id":"s","error_code":9,"message":"forbidden"`)}, p.says())
	p.SetCredentials(as("ann"))
	p.takes(onView("subscribe", `,"id":"s"`))
	require.Equal(t, []string{okay("s")}, p.says())
	p.SetCredentials(Credentials{})
	require.Equal(t, []string{forbiddenView()}, p.says())

	p = newOffline(t, &Config{Credentials: as("ann")}, restrictedList{new(manual)})
	p.takes(subscribeList, getPage(0), getPage(1))
	p.SetCredentials(Credentials{})
	noItem := `{"func":"error","error_code":3,"message":"no such item"}`
	require.Equal(t, []string{noItem, noItem}, p.says(), "one for each get")
	p.takes(subscribeList)
	require.Equal(t, []string{noItem}, p.says())
}

// The page of a version 1 subscriber goes on from what was taken, and gets that have no answer have one answer.
func TestIdentityOfVersion1(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, &Config{Credentials: as("ann")}, l)
	p.takes(subscribeList, getPage(1))
	l.sink.Answer(listState(1, 3), 1)
	require.Equal(t, []string{setAll(1, 3)}, p.says())
	old := l.sink
	old.Step(stepTo(listState(1, 3), listState(1, 4)))
	p.SetCredentials(as("bob"))
	old.Step(stepTo(listState(1, 4), listState(1, 5)))
	l.sink.Step(stepTo(listState(0, 1), listState(0, 2)))
	require.Empty(t, p.says())
	require.Equal(t, [][2]int{{1, 2}, {1, 2}}, l.asked())
	l.sink.Answer(listState(1, 8), 1)
	require.Equal(t, []string{count(8)}, p.says())

	p.takes(getPage(2), badGet, badGet)
	l.sink.Answer(listState(2, 9), 1)
	p.SetCredentials(as("cy"))
	require.Equal(t, []string{errorBadPage, errorBadPage}, p.says())
	require.Equal(t, [][2]int{{2, 2}, {2, 2}}, l.asked()[2:])
	l.sink.Fail(errors.New("away"), 1)
	require.Equal(t, []string{errorNoList}, p.says())
}

// Who has been told the number of rows only is told the new one.
func TestCountOfVersion1(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, &Config{Credentials: as("ann")}, l)
	p.takes(subscribeList)
	p.SetCredentials(as("bob"))
	require.Empty(t, l.wants, "nothing was told")
	l.sink.Step(stepTo(listState(0, 1), listState(0, 2)))
	require.Equal(t, []string{count(2)}, p.says())
	p.SetCredentials(as("cy"))
	l.sink.Answer(listState(0, 7), 1)
	require.Equal(t, []string{count(7)}, p.says())
	p.SetCredentials(as("ann"))
	l.sink.Answer(listState(0, 7), 1)
	require.Empty(t, p.says())
}

func TestValueOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := new(manualVar)
		p := newOfflineV2(t, &Config{Credentials: as("ann")}, v)
		one, two := `,"filter":{"x":1}`, `,"filter":{"x":2}`
		p.takes(onVar("subscribe", ""), getVar("a", one))
		v.sink.Answer(value(1), 1)
		require.Equal(t, []string{setVar("a", 1)}, p.says())
		old := v.sink
		old.Set(value(2))
		p.takes(getVar("b", two), getVar("c", one))
		old.Answer(value(3), 1)
		p.SetCredentials(as("bob"))
		isUser(t, "bob", v.options)
		old.Answer(value(4), 1)
		old.Set(value(4))
		require.Empty(t, p.says())
		require.Equal(t, 5, v.gets, "two are asked again")
		v.sink.Fail(errors.New("away"), 2)
		require.Equal(t, []string{varFails("b", "superseded"), varFails("c", "var not available")}, p.says())
		v.sink.Set(value(5))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Empty(t, p.says(), "of which parameters it is nobody knows")
		require.Equal(t, 6, v.gets)
		require.Equal(t, v.filters[0], v.filters[5], "what is shown")
		v.sink.Fail(errors.New("away"), 1)
		require.Equal(t, []string{varFails("", "var not available")}, p.says())
		time.Sleep(restoreInterval)
		synctest.Wait()
		v.sink.Answer(value(6), 1)
		require.Equal(t, []string{setVar("", 6)}, p.says())
		p.SetCredentials(as("cy"))
		v.sink.Answer(value(6), 1)
		require.Empty(t, p.says(), "it is the same")
	})
}

func TestVarOfVersion1(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOffline(t, &Config{Credentials: as("ann")}, v)
	get := `{"func":"get","type":"var","name":"v"}`
	p.takes(`{"func":"subscribe","type":"var","name":"v"}`)
	p.SetCredentials(as("bob"))
	require.Zero(t, v.gets, "nothing was told")
	p.takes(get)
	v.sink.Answer(value(1), 1)
	require.Equal(t, []string{set(1)}, p.says())
	v.sink.Set(value(2))
	p.SetCredentials(as("cy"))
	require.Empty(t, p.says())
	v.sink.Answer(value(3), 1)
	require.Equal(t, []string{set(3)}, p.says())
	p.takes(get, get)
	v.sink.Answer(value(4), 1)
	p.SetCredentials(as("ann"))
	require.Equal(t, 6, v.gets)
	v.sink.Answer(value(5), 2)
	require.Equal(t, []string{set(5), set(5)}, p.says())
}

// The result of a function is for who called it, and its context is of them.
func TestResultsOfAnother(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	type callerKey struct{}
	p := newOfflineV2(t, &Config{
		Credentials: as("ann"),
		CallContext: func(ctx context.Context, owner any) context.Context {
			return context.WithValue(ctx, callerKey{}, owner)
		},
		Authorize: func(_ context.Context, owner any, _ protocol.ItemType, _ string) error {
			if owner == "cy" {
				return errors.New("not Cy")
			}
			return nil
		},
	}, function(func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		<-gate
		return json.Marshal(ctx.Value(callerKey{}))
	}))
	run := func() {
		gate <- struct{}{}
		p.runs.Wait()
	}
	forbids := func(id string) string {
		return fmt.Sprintf(`{"func":"error","type":"function","name":"f"%s,"error_code":9,"message":"forbidden"}`, withID(id))
	}
	p.takes(subscribeFunction, callOf("a"))
	p.SetCredentials(as("ann"))
	run()
	require.Equal(t, []string{returnOf("a", `"ann"`)}, p.says())
	p.takes(callOf("b"))
	p.SetCredentials(as("bob"))
	run()
	require.Equal(t, []string{forbids("b")}, p.says())
	p.takes(callOf("c"))
	run()
	p.SetCredentials(as("ann"))
	require.Equal(t, []string{forbids("c")}, p.says(), "one that was queued")
	p.takes(callOf("d"))
	p.SetCredentials(as("cy"))
	require.Equal(t, []string{forbids("")}, p.says())
	run()
	require.Equal(t, []string{forbids("d")}, p.says())
	p.takes(callOf("e"))
	require.Equal(t, []string{forbids("e")}, p.says())
}

// While credentials are being changed nothing is said that is of the old ones, but errors and the like are.
func TestMuted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p *offline
		var during []string
		l := new(manual)
		p = newOfflineV2(t, &Config{Credentials: as("ann"), Authorize: func(_ context.Context, owner any, _ protocol.ItemType, _ string) error {
			if owner == "bob" {
				during = p.says()
			}
			return nil
		}}, l, memory.NewVar("v", 1))
		p.takes(onView("subscribe", ""), getByID("first"))
		l.sink.Answer(at(0, 1), 1)
		p.takes(`{"func":"nonsense"}`, onView("unsubscribe", `,"id":"u"`), onView("subscribe", ""), getByID("again"))
		l.sink.Answer(at(0, 2), 1)
		p.SetCredentials(as("bob"))
		require.Len(t, during, 1, "the error is in front of the rows")
		require.Contains(t, during[0], `"error_code":2`)
		require.Equal(t, []string{superseded("first"), okay("u")}, p.says())
		l.sink.Answer(at(0, 3), 1)
		require.Equal(t, []string{whole("again", 0, 3)}, p.says())
	})
}
