package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

func newOfflineV2(t *testing.T, cfg *Config, items ...Item) *offline {
	t.Helper()
	p := newOffline(t, cfg, items...)
	p.Speak(protocol.V2)
	return p
}

// onView is a message of the tester about the view "w" of the list "l".
func onView(fn, fields string) string {
	return fmt.Sprintf(`{"func":%q,"type":"list","name":"l","view":"w"%s}`, fn, fields)
}

// ofView is a message to the tester about that view.
func ofView(fn, fields string) string { return onView(fn, fields) }

func getByID(id string, fields ...string) string {
	return onView("get", fmt.Sprintf(`,"id":%q,"page_size":2`, id)+strings.Join(fields, ""))
}

func okay(id string) string { return fmt.Sprintf(`{"func":"ok","id":%q}`, id) }

// supersededBy is the error for a get with an id, "" for one without.
func superseded(id string) string {
	return ofView("error", withID(id)+`,"error_code":8,"message":"superseded"`)
}

func withID(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(`,"id":%q`, id)
}

// at is state n of a page of the list "l", which has n rows of which the page has one, with the value n.
func at(page, n int) *window.State {
	return &window.State{
		Name: "l", Page: page, Size: 2, Total: n, Rev: fmt.Sprintf("7.%d", n),
		Rows: []window.Row{{Key: "a", JSON: json.RawMessage(fmt.Sprint(n))}},
	}
}

// whole is the set_all of such a state, stepped the step from one to another.
func whole(id string, page, n int) string {
	return ofView("set_all", withID(id)+fmt.Sprintf(`,"rev":"7.%d","page":%d,"page_size":2,"total_item_count":%d,"items":[%d]`, n, page, n, n))
}

// behind is state n of the window behind the row whose key is after.
func behind(after, n int) *window.State {
	s := at(0, n)
	s.Anchored, s.After = true, []json.RawMessage{[]byte(fmt.Sprint(after))}
	return s
}

func stepped(id string, n int) string {
	return ofView("step", withID(id)+fmt.Sprintf(`,"rev":"7.%d","changes":[{"func":"set_count","total_item_count":%d},{"func":"set","index":0,"value":%d}]`, n, n, n))
}

func unchanged(id string, n int) string {
	return ofView("step", withID(id)+fmt.Sprintf(`,"rev":"7.%d","changes":[]`, n))
}

func missing(total, pending int) string {
	return ofView("set_pending", fmt.Sprintf(`,"total_item_count":%d,"pending":%d`, total, pending))
}

func standsStill(reason string) string {
	return ofView("error", fmt.Sprintf(`,"error_code":8,"message":%q`, reason))
}

// oneRow is a step of one row, which is never sent as a set_all.
func oneRow(from, to *window.State) *window.Step { return window.NewStep(from, to, "a") }

// opened is a list and a peer whose window of it is open, at state 1 of page 0.
func opened(t *testing.T) (*manual, *offline) {
	t.Helper()
	l := new(manual)
	p := newOfflineV2(t, nil, l)
	p.takes(onView("subscribe", ""), getByID("first"))
	l.sink.Answer(at(0, 1), 1)
	require.Equal(t, []string{whole("first", 0, 1)}, p.says())
	return l, p
}

// A window begins with the answer to its first get; nothing is said of it before.
func TestWindowBegins(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOfflineV2(t, nil, l)
	p.takes(onView("subscribe", `,"id":"s"`), onView("subscribe", `,"id":"again"`), onView("subscribe", ""))
	require.Equal(t, []string{okay("s"), okay("again")}, p.says())
	require.True(t, l.options.Quiet)
	require.NotNil(t, l.options.Account)
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	l.sink.Still(errors.New("away"))
	require.Empty(t, p.says())

	p.takes(getByID("g", `,"page":3,"sort":["-x"],"filter":{"y":{"lt":4}},"search":"z","rev":"1.2"`))
	require.Equal(t, window.Want{Page: 3, Size: 2, Rev: "1.2", Choice: window.Choice{
		Sort: []string{"-x"}, Filter: []window.Condition{{Column: "y", Operator: "lt", Value: json.RawMessage("4")}}, Search: "z",
	}}, l.wants[0])
	p.takes(getByID("h", `,"after":[1,"x"]`))
	require.Equal(t, window.Want{Size: 2, Anchored: true, After: []json.RawMessage{[]byte(`1`), []byte(`"x"`)}}, l.wants[1])
	l.sink.Answer(at(3, 2), 1)
	require.Equal(t, []string{whole("g", 3, 2)}, p.says())
	l.sink.Step(oneRow(at(3, 2), at(3, 3)))
	require.Equal(t, []string{stepped("", 3)}, p.says())
}

// What a source keeps of a get is not the reader's message.
func TestWantIsKept(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOfflineV2(t, nil, l)
	p.takes(onView("subscribe", ""))
	message := []byte(getByID("g", `,"after":["x"],"filter":{"y":"z"}`))
	require.NoError(t, p.receive(message))
	clear(message)
	require.Equal(t, `"x"`, string(l.wants[0].After[0]))
	require.Equal(t, `"z"`, string(l.wants[0].Choice.Filter[0].Value))
}

// What was not written yet of a window is one step, or the answer with what came after it.
func TestWindowFolds(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	require.Equal(t, []string{stepped("", 3)}, p.says())
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	l.sink.Step(oneRow(at(0, 4), at(0, 3)))
	require.Empty(t, p.says(), "there and back")
	l.sink.Step(oneRow(at(0, 3), at(0, 5)))
	require.Equal(t, []string{stepped("", 5)}, p.says())

	p.takes(getByID("g"), onView("get", `,"page":-1,"id":"bad"`))
	l.sink.Step(oneRow(at(0, 5), at(0, 6)))
	l.sink.Answer(at(0, 6), 1)
	l.sink.Step(oneRow(at(0, 6), at(0, 7)))
	badPage := ofView("error", `,"id":"bad","error_code":5,"message":"page is not an integer or out of range"`)
	require.Equal(t, []string{whole("g", 0, 7), badPage}, p.says())
}

// A step that one subscriber shares with others is written as the same bytes, if their views have one name.
func TestWindowStepsAreShared(t *testing.T) {
	t.Parallel()
	step := oneRow(at(0, 1), at(0, 2))
	var first [][]byte
	for range 2 {
		l, p := opened(t)
		l.sink.Step(step)
		messages := p.Next(nil)
		require.Len(t, messages, 1)
		first = append(first, messages[0])
	}
	require.Same(t, &first[0][0], &first[1][0])
}

// A step that is longer than the window is sent as the window, unless it has to be a step.
func TestShorterOne(t *testing.T) {
	t.Parallel()
	states := func() (from, to *window.State) {
		from, to = at(0, 1), at(0, 2)
		for i := range 3 {
			from.Rows = append(from.Rows, window.Row{Key: fmt.Sprint("old", i), JSON: json.RawMessage(`0`)})
		}
		return from, to
	}
	isWhole := func(messages []string) bool { return strings.Contains(messages[0], "set_all") }
	for name, c := range map[string]struct {
		whole bool
		do    func(l *manual, p *offline, step *window.Step)
	}{
		"a step":           {true, func(l *manual, _ *offline, step *window.Step) { l.sink.Step(step) }},
		"of one row":       {false, func(l *manual, _ *offline, s *window.Step) { l.sink.Step(window.NewStep(s.From, s.To, "a")) }},
		"resumed by a get": {false, func(l *manual, p *offline, step *window.Step) { p.takes(getByID("g")); l.sink.Resume(step, 1) }},
		"after a pause": {false, func(l *manual, p *offline, step *window.Step) {
			p.takes(onView("pause", ""))
			l.sink.Step(step)
			p.takes(onView("resume", ""))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := states()
			l, p := opened(t)
			p.takes(getByID("long"))
			l.sink.Answer(from, 1)
			p.says()
			c.do(l, p, window.NewStep(from, to, ""))
			require.Equal(t, c.whole, isWhole(p.says()))
		})
	}
}

// Gets that are answered together, or before the answer to one before was written, are superseded.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(getByID("a"), onView("get", ""), getByID("b"))
	l.sink.Answer(at(0, 2), 3)
	require.Equal(t, []string{superseded("a"), superseded(""), whole("b", 0, 2)}, p.says())

	p.takes(getByID("c", `,"page":1`), getByID("d"))
	l.sink.Answer(at(1, 2), 1)
	l.sink.Step(oneRow(at(1, 2), at(1, 3)))
	l.sink.Answer(at(0, 3), 1)
	require.Equal(t, []string{superseded("c"), whole("d", 0, 3)}, p.says())

	p.takes(getByID("e"), onView("get", `,"sort":3,"id":"bad"`), getByID("f"), getByID("g"))
	l.sink.Answer(at(0, 3), 1)
	l.sink.Fail(&protocol.Error{Code: protocol.Other, Message: "no"}, 1)
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	l.sink.Answer(at(0, 4), 1)
	bad := ofView("error", `,"id":"bad","error_code":8,"message":"sort must be an array of column names"`)
	require.Equal(t, []string{superseded("e"), bad, ofView("error", `,"id":"f","error_code":8,"message":"no"`), whole("g", 0, 4)}, p.says())
	require.Zero(t, p.out.waiting())
}

// What is behind a get waits for its answer, and keeps its place when gets are answered together.
func TestRequestsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(getByID("a"), onView("pause", `,"id":"p"`), onView("pause", `,"id":5`), getByID("b"), onView("resume", `,"id":"r"`))
	require.Empty(t, p.says())
	l.sink.Answer(at(0, 2), 2)
	badID := ofView("error", `,"error_code":6,"message":"id must be a string of 1 to 128 bytes"`)
	require.Equal(t, []string{superseded("a"), okay("p"), badID, whole("b", 0, 2), unchanged("r", 2)}, p.says())

	p.takes(getByID("c"), onView("resume", `,"id":"r2"`), getByID("d"))
	l.sink.Fail(errors.New("a secret"), 2)
	failed := func(id string) string {
		return ofView("error", withID(id)+`,"error_code":8,"message":"list not available"`)
	}
	require.Equal(t, []string{superseded("c"), unchanged("r2", 2), failed("d")}, p.says(), "the error is about the last")
}

// The connection is read no further while a window owes too many answers.
func TestUnansweredGets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(manual)
		p := newOfflineV2(t, nil, l)
		p.takes(onView("subscribe", ""))
		for range mostUnanswered - 1 {
			p.takes(getByID("x"))
		}
		p.takes(onView("pause", ""))
		read := make(chan string, 3)
		go func() {
			p.takes(getByID("more"))
			read <- "get"
			p.takes(onView("pause", ""))
			read <- "pause"
		}()
		synctest.Wait()
		require.Empty(t, read)
		require.Len(t, l.asked(), mostUnanswered-1)
		l.sink.Answer(at(0, 1), 1)
		synctest.Wait()
		require.Equal(t, "get", <-read)
		require.Empty(t, read)
		l.sink.Answer(at(0, 1), mostUnanswered-2)
		synctest.Wait()
		require.Equal(t, "pause", <-read)
	})
}

// Who waits for an answer does not keep the peer from ending.
func TestClosingEndsTheWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(manual)
		p := newOfflineV2(t, nil, l)
		p.takes(onView("subscribe", ""))
		go func() {
			for range mostUnanswered + 5 {
				p.takes(getByID("x"))
			}
		}()
		synctest.Wait()
		require.Len(t, l.asked(), mostUnanswered)
		require.NoError(t, p.Close(1000, ""))
		synctest.Wait()
		require.Len(t, l.asked(), mostUnanswered+5)
	})
}

// A get may be answered by a step from what the other end holds.
func TestResumed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(l *manual, p *offline)
		says []string
	}{
		"what was held before the connection": {func(l *manual, p *offline) {
			p.takes(onView("unsubscribe", ""), onView("subscribe", ""), getByID("g", `,"rev":"7.4"`))
			l.sink.Resume(oneRow(at(0, 4), at(0, 5)), 1)
		}, []string{stepped("g", 5)}},
		"what was held before the connection, behind an answer that was not written": {func(l *manual, p *offline) {
			p.takes(onView("unsubscribe", ""), onView("subscribe", ""), getByID("g"), getByID("h", `,"rev":"7.4"`))
			l.sink.Answer(at(0, 5), 1)
			l.sink.Resume(oneRow(at(0, 4), at(0, 6)), 1)
		}, []string{superseded("g"), stepped("h", 6)}},
		"it grows before anything was written": {func(l *manual, p *offline) {
			p.takes(onView("unsubscribe", ""), onView("subscribe", ""), getByID("g"), onView("get", `,"id":"h","page_size":3`))
			two := at(0, 2)
			l.sink.Answer(two, 1)
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
		}, []string{superseded("g"), whole("h", 0, 3)}},
		"nothing differs": {func(l *manual, p *offline) {
			p.takes(getByID("g", `,"rev":"7.1"`))
			l.sink.Resume(oneRow(at(0, 1), at(0, 1)), 1)
		}, []string{unchanged("g", 1)}},
		"with what came after the answer": {func(l *manual, p *offline) {
			p.takes(getByID("g", `,"rev":"7.1"`))
			l.sink.Resume(oneRow(at(0, 1), at(0, 2)), 1)
			l.sink.Step(oneRow(at(0, 2), at(0, 3)))
		}, []string{stepped("g", 3)}},
		"what is held, with a step that was not written": {func(l *manual, p *offline) {
			p.takes(getByID("g", `,"rev":"7.1"`))
			l.sink.Step(oneRow(at(0, 1), at(0, 2)))
			l.sink.Resume(oneRow(at(0, 1), at(0, 2)), 1)
		}, []string{stepped("g", 2)}},
		"a step to it was on its way": {func(l *manual, p *offline) {
			l.sink.Step(oneRow(at(0, 1), at(0, 2)))
			p.says()
			p.takes(getByID("g", `,"rev":"7.1"`))
			l.sink.Resume(oneRow(at(0, 1), at(0, 3)), 1)
		}, []string{whole("g", 0, 3)}},
		"it looks like what is held": {func(l *manual, p *offline) {
			there := at(0, 2)
			l.sink.Step(oneRow(at(0, 1), there))
			back := at(0, 1)
			back.Rev = "7.3"
			l.sink.Step(oneRow(there, back))
			require.Empty(t, p.says())
			p.takes(getByID("g", `,"rev":"7.1"`))
			l.sink.Resume(oneRow(at(0, 1), back), 1)
		}, []string{ofView("step", `,"id":"g","rev":"7.3","changes":[]`)}},
		"another page, which was held before": {func(l *manual, p *offline) {
			p.takes(getByID("g", `,"page":1,"rev":"7.8"`))
			l.sink.Resume(oneRow(at(1, 8), at(1, 9)), 1)
		}, []string{stepped("g", 9)}},
		"it grows": {func(l *manual, p *offline) {
			p.takes(onView("get", `,"id":"g","page_size":3`))
			two := at(0, 2)
			l.sink.Step(oneRow(at(0, 1), two))
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
		}, []string{stepped("g", 3)}},
		"it grows from an anchor that has moved": {func(l *manual, p *offline) {
			p.takes(onView("get", `,"after":[1],"page_size":3`))
			one, two, three := behind(1, 1), behind(2, 2), behind(2, 3)
			l.sink.Answer(one, 1)
			p.says()
			l.sink.Step(oneRow(one, two))
			p.takes(onView("get", `,"id":"g","after":[2],"page_size":4`))
			l.sink.Resume(oneRow(two, three), 1)
		}, []string{strings.Replace(stepped("g", 3), `,"changes"`, `,"after":[2],"changes"`, 1)}},
		"a step to it was on its way, behind an anchor that has moved": {func(l *manual, p *offline) {
			p.takes(onView("get", `,"after":[1],"page_size":3`))
			one, two, three := behind(1, 1), behind(2, 2), behind(2, 3)
			l.sink.Answer(one, 1)
			l.sink.Step(oneRow(one, two))
			p.says()
			l.sink.Step(oneRow(two, three))
			p.says()
			p.takes(onView("get", `,"id":"g","after":[2],"page_size":3,"rev":"7.2"`))
			l.sink.Resume(oneRow(two, three), 1)
		}, []string{strings.Replace(whole("g", 0, 3), `"page":0`, `"after":[2]`, 1)}},
		"it is said to be held before it was sent": {func(l *manual, p *offline) { // it was seen in another view
			two := at(0, 2)
			l.sink.Step(oneRow(at(0, 1), two))
			p.takes(getByID("g", `,"rev":"7.2"`))
			l.sink.Resume(oneRow(two, two), 1)
		}, []string{whole("g", 0, 2)}},
		"it grows twice": {func(l *manual, p *offline) {
			p.takes(onView("get", `,"id":"g","page_size":3`), onView("get", `,"id":"h","page_size":4`))
			two := at(0, 2)
			l.sink.Resume(oneRow(at(0, 1), two), 1)
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
		}, []string{superseded("g"), stepped("h", 3)}},
		"it grows after an answer that was not written": {func(l *manual, p *offline) {
			p.takes(getByID("g"), onView("get", `,"id":"h","page_size":4`))
			two := at(0, 2)
			l.sink.Answer(two, 1)
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
		}, []string{superseded("g"), whole("h", 0, 3)}},
		"it grows while paused": {func(l *manual, p *offline) {
			p.takes(onView("pause", ""))
			two := at(0, 2)
			l.sink.Step(oneRow(at(0, 1), two))
			p.takes(onView("get", `,"id":"g","page_size":4`))
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
			l.sink.Step(oneRow(at(0, 3), at(0, 4)))
		}, []string{stepped("g", 4)}},
		"it grows after a pause that has ended": {func(l *manual, p *offline) {
			two := at(0, 2)
			p.takes(onView("pause", ""))
			l.sink.Step(oneRow(at(0, 1), two))
			p.takes(onView("resume", `,"id":"r"`), onView("get", `,"id":"g","page_size":4`))
			l.sink.Resume(oneRow(two, at(0, 3)), 1)
		}, []string{stepped("r", 2), stepped("g", 3)}},
		"it is said to be held while a step that ends a pause is on its way": {func(l *manual, p *offline) {
			two := at(0, 2)
			p.takes(onView("pause", ""))
			l.sink.Step(oneRow(at(0, 1), two))
			p.takes(onView("resume", `,"id":"r"`), getByID("g", `,"rev":"7.1"`))
			l.sink.Resume(oneRow(at(0, 1), two), 1)
		}, []string{stepped("r", 2), whole("g", 0, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, p := opened(t)
			c.do(l, p)
			require.Equal(t, c.says, p.says())
			require.Zero(t, p.out.waiting())
			now := l.sink.(*windowSink).feed.now
			last, next := now.Total, at(0, now.Total+1)
			next.After = now.After
			l.sink.Step(oneRow(now, next))
			require.Equal(t, []string{stepped("", last+1)}, p.says(), "and it goes on")
		})
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(onView("pause", `,"id":"p"`))
	require.Equal(t, []string{okay("p")}, p.says())
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	require.Equal(t, []string{missing(2, 1)}, p.says())
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	require.Equal(t, []string{missing(4, 1)}, p.says(), "folded")
	l.sink.Step(oneRow(at(0, 4), at(0, 5)))
	l.sink.Step(oneRow(at(0, 5), at(0, 4)))
	require.Empty(t, p.says(), "there and back")
	p.takes(onView("pause", `,"id":"p2"`), onView("pause", ""))
	require.Equal(t, []string{okay("p2")}, p.says(), "paused already")
	l.sink.Step(oneRow(at(0, 4), at(0, 1)))
	require.Equal(t, []string{missing(1, 0)}, p.says(), "what is missing came back")
	l.sink.Step(oneRow(at(0, 1), at(0, 5)))
	p.takes(onView("resume", `,"id":"r"`))
	require.Equal(t, []string{stepped("r", 5)}, p.says(), "and not what was pending")
	l.sink.Step(oneRow(at(0, 5), at(0, 6)))
	require.Equal(t, []string{stepped("", 6)}, p.says())

	p.takes(onView("pause", ""), onView("resume", ""))
	require.Equal(t, []string{unchanged("", 6)}, p.says(), "a resume is answered in any case")
	p.takes(onView("resume", `,"id":"r2"`))
	require.Equal(t, []string{unchanged("r2", 6)}, p.says(), "not paused")
	l.sink.Step(oneRow(at(0, 6), at(0, 7)))
	p.takes(onView("resume", `,"id":"r3"`))
	l.sink.Step(oneRow(at(0, 7), at(0, 8)))
	require.Equal(t, []string{stepped("", 7), stepped("r3", 8)}, p.says(), "not paused, with a step that was not written")
}

// What was not written when the pause began is said before it.
func TestPauseOfWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	p.takes(onView("pause", `,"id":"p"`))
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	p.takes(onView("resume", `,"id":"r"`))
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	require.Positive(t, p.out.waiting())
	require.Equal(t, []string{stepped("", 2), okay("p"), stepped("r", 4)}, p.says())
	require.Zero(t, p.out.waiting())

	p.takes(getByID("g"), onView("pause", `,"id":"p"`))
	l.sink.Answer(at(0, 4), 1)
	l.sink.Step(oneRow(at(0, 4), at(0, 5)))
	require.Equal(t, []string{whole("g", 0, 4), okay("p"), missing(5, 1)}, p.says())
}

func TestGetEndsThePause(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(onView("pause", ""))
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	p.takes(getByID("bad"), getByID("g", `,"page":1`))
	l.sink.Fail(errors.New("away"), 1)
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	require.Equal(t, []string{missing(3, 1), standsStillID("bad")}, p.says(), "one that fails changes nothing")
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	l.sink.Answer(at(1, 5), 1)
	l.sink.Step(oneRow(at(1, 5), at(1, 6)))
	require.Equal(t, []string{whole("g", 1, 6)}, p.says())
	l.sink.Step(oneRow(at(1, 6), at(1, 7)))
	require.Equal(t, []string{stepped("", 7)}, p.says())
}

func standsStillID(id string) string {
	return ofView("error", withID(id)+`,"error_code":8,"message":"list not available"`)
}

func TestNoWindow(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOfflineV2(t, nil, l)
	p.takes(onView("subscribe", ""), onView("pause", `,"id":"p"`), onView("resume", `,"id":"r"`), getByID("g"), onView("resume", ""))
	l.sink.Fail(errors.New("away"), 1)
	noWindow := func(id string) string { return ofView("error", withID(id)+`,"error_code":1,"message":"no window"`) }
	require.Equal(t, []string{noWindow("p"), noWindow("r"), standsStillID("g"), noWindow("")}, p.says())
}

// A window that stands still says so once, and says that it moves again even if nothing differs.
func TestStill(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	away := errors.New("a secret")
	l.sink.Still(away)
	require.Equal(t, []string{standsStill("list not available")}, p.says())
	l.sink.Still(away)
	require.Empty(t, p.says(), "nothing new")
	l.sink.Still(window.Refusal("too many rows"))
	l.sink.Still(window.Refusal("far too many rows"))
	require.Equal(t, []string{standsStill("far too many rows")}, p.says())
	l.sink.Step(oneRow(at(0, 1), at(0, 1)))
	require.Equal(t, []string{unchanged("", 1)}, p.says())
	l.sink.Step(oneRow(at(0, 1), at(0, 1)))
	require.Empty(t, p.says())

	l.sink.Still(away)
	l.sink.Step(oneRow(at(0, 1), at(0, 1)))
	require.Empty(t, p.says(), "nobody noticed")
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	l.sink.Still(away)
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	l.sink.Still(away)
	require.Equal(t, []string{stepped("", 3), standsStill("list not available")}, p.says())
	l.sink.Still(window.Refusal("x"))
	l.sink.Step(oneRow(at(0, 3), at(0, 3)))
	require.Equal(t, []string{unchanged("", 3)}, p.says(), "the first reason was told")

	l.sink.Still(away)
	p.says()
	p.takes(getByID("g"))
	l.sink.Answer(at(0, 3), 1)
	require.Equal(t, []string{whole("g", 0, 3)}, p.says())
	l.sink.Step(oneRow(at(0, 3), at(0, 3)))
	require.Empty(t, p.says(), "the answer said that it moves")
}

// A paused window stands still for nobody, until it is resumed.
func TestStillWhilePaused(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(onView("pause", ""))
	l.sink.Still(errors.New("away"))
	require.Empty(t, p.says())
	p.takes(onView("resume", `,"id":"r"`))
	require.Equal(t, []string{unchanged("r", 1), standsStill("list not available")}, p.says())
	p.takes(onView("resume", `,"id":"r"`))
	require.Equal(t, []string{unchanged("r", 1), standsStill("list not available")}, p.says(), "the step said that it moves")
	p.takes(onView("pause", ""))
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	p.takes(onView("resume", `,"id":"r"`))
	require.Equal(t, []string{stepped("r", 2)}, p.says())
}

// An unsubscribe comes after everything that was asked for before it, and nothing comes after its answer.
func TestWindowEnds(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	l.sink.Step(oneRow(at(0, 1), at(0, 2)))
	p.takes(onView("unsubscribe", `,"id":"u"`))
	require.Equal(t, []string{okay("u")}, p.says(), "nobody waits for the step")
	require.True(t, l.isClosed())
	require.False(t, l.hasDeparted())
	l.sink.Answer(at(0, 3), 1)
	l.sink.Step(oneRow(at(0, 3), at(0, 4)))
	l.sink.Still(errors.New("late"))
	require.Empty(t, p.says())

	l, p = opened(t)
	p.takes(getByID("g"), onView("get", ""), onView("pause", `,"id":"p"`), onView("resume", `,"id":"r"`), getByID("h"), onView("get", `,"id":3`))
	l.sink.Answer(at(0, 2), 1)
	l.sink.Step(oneRow(at(0, 2), at(0, 3)))
	p.takes(`{"func":"unsubscribe_all","id":"u"}`)
	badID := ofView("error", `,"error_code":6,"message":"id must be a string of 1 to 128 bytes"`)
	require.Equal(t, []string{whole("g", 0, 3), okay("p"), unchanged("r", 3), superseded("h"), badID, okay("u")}, p.says())
	require.Zero(t, p.out.waiting())
	p.takes(getByID("i"))
	require.Equal(t, []string{ofView("error", `,"id":"i","error_code":1,"message":"not subscribed"`)}, p.says())
}

// A list is left, and not closed, when the connection has ended: the subscriber may be back.
func TestWindowIsLeft(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	p.takes(getByID("g"))
	p.end(ErrClosed)
	require.True(t, l.hasDeparted())
	require.Empty(t, p.says())
	require.Zero(t, p.out.waiting())
}

// What a window keeps for a connection that takes nothing is bounded, or counts.
func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	l, p := opened(t)
	feed := l.sink.(*windowSink).feed
	for n := range 1000 {
		l.sink.Step(oneRow(at(0, n+1), at(0, n+2)))
		l.sink.Still(errors.New("away"))
	}
	require.LessOrEqual(t, len(feed.lines), 2)
	p.takes(onView("pause", ""))
	before := p.out.waiting()
	for n := range 1000 {
		l.sink.Step(oneRow(at(0, n+1), at(0, n+2)))
		l.sink.Still(errors.New("away"))
	}
	require.LessOrEqual(t, len(feed.lines), 3)
	require.Equal(t, before, p.out.waiting())
	for range 100 {
		p.takes(onView("resume", ""), onView("pause", ""))
	}
	require.GreaterOrEqual(t, p.out.waiting(), before+100*64, "answers that wait count")
	p.says()
	require.Zero(t, p.out.waiting())
	p.takes(onView("resume", ""))
	for range 100 {
		p.takes(onView("resume", ""))
	}
	require.GreaterOrEqual(t, p.out.waiting(), 100*64, "also where there is nothing to resume")
	p.says()
	require.Zero(t, p.out.waiting())

	for range 1000 {
		p.takes(getByID("g"))
		l.sink.Answer(at(0, 9), 1)
	}
	require.Equal(t, 999*len(superseded("g")), p.out.waiting())
	require.Len(t, p.says(), 1000)
}

// One connection follows any number of views of one list, up to the limit of subscriptions.
func TestViews(t *testing.T) {
	t.Parallel()
	sinks := make(map[string]window.Sink)
	l := new(manual)
	p := newOfflineV2(t, &Config{Limits: Limits{Subscriptions: 3}}, l)
	about := func(fn, view string) string { return fmt.Sprintf(`{"func":%q,"type":"list","name":"l"%s}`, fn, view) }
	views := []string{"", `,"view":"v"`, `,"view":"` + strings.Repeat("é", 32) + `"`}
	for _, view := range views {
		p.takes(about("subscribe", view), about("get", view))
		sinks[view] = l.sink
	}
	p.takes(about("subscribe", `,"view":"one too many"`))
	require.Equal(t, []string{about("error", `,"view":"one too many","error_code":8,"message":"too many subscriptions"`)}, p.says())
	for n, view := range views {
		sinks[view].Answer(at(0, n), 1)
		body := fmt.Sprintf(`,"rev":"7.%d","page":0,"page_size":2,"total_item_count":%d,"items":[%d]`, n, n, n)
		require.Equal(t, []string{about("set_all", view+body)}, p.says())
	}
	p.takes(about("unsubscribe", views[1]), about("get", views[1]))
	require.Equal(t, []string{about("error", views[1]+`,"error_code":1,"message":"not subscribed"`)}, p.says())
	sinks[views[1]].Step(oneRow(at(0, 1), at(0, 2)))
	require.Empty(t, p.says())
	sinks[""].Step(oneRow(at(0, 0), at(0, 2)))
	require.Len(t, p.says(), 1)
}

// All views of one connection are charged to one account, with the limits of the connection.
func TestAccountOfViews(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOfflineV2(t, &Config{Limits: Limits{Views: 1, Rows: 10}}, l)
	p.takes(onView("subscribe", ""))
	first := l.options.Account
	p.takes(`{"func":"subscribe","type":"list","name":"l"}`)
	require.Same(t, first, l.options.Account)
	require.Error(t, first.Hold("one", 11, nil))
	require.NoError(t, first.Hold("one", 10, nil))
	require.Error(t, first.Hold("two", 0, nil))
	other := newOfflineV2(t, nil, l)
	other.takes(onView("subscribe", ""))
	require.NotSame(t, first, l.options.Account)
	require.Equal(t, Limits{Views: 64, Rows: 1_000_000}, Limits{Views: other.cfg.Limits.Views, Rows: other.cfg.Limits.Rows})
}
