package peer

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

const errorNoList = `{"func":"error","error_code":8,"message":"list not available"}`

func setAll(page, total int) string { return string(listState(page, total).SetAll()) }

// What a get asks for reaches the list as it is; 0 stands for the size that the list gives unasked.
func TestGetIsPassedOn(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList, `{"func":"get","type":"list","name":"l"}`, getPage(7),
		`{"func":"get","type":"list","name":"l","page_size":9007199254740991,"page":"9007199254740991"}`)
	require.Equal(t, [][2]int{{0, 0}, {7, 2}, {9007199254740991, 9007199254740991}}, l.asked())
	require.Empty(t, p.says())
}

// What was not written yet of a window is folded, and what belongs to the window
// before an answer goes with it.
func TestStepsAreFolded(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList)
	a, b, c := listState(0, 1), listState(0, 2), listState(0, 3)
	l.sink.Step(stepTo(a, b))
	require.Equal(t, []string{count(2)}, p.says(), "a change before the first get")
	l.sink.Step(stepTo(b, c))
	l.sink.Step(stepTo(c, b))
	require.Empty(t, p.says(), "there and back")

	p.takes(getPage(0))
	l.sink.Step(stepTo(b, c))
	l.sink.Answer(c, 1)
	require.Equal(t, []string{setAll(0, 3)}, p.says(), "the answer carries the change")

	p.takes(getPage(0))
	l.sink.Answer(c, 1)
	l.sink.Step(stepTo(c, a))
	l.sink.Step(stepTo(a, b))
	require.Equal(t, []string{setAll(0, 2)}, p.says(), "changes after an answer that is not written yet")
	l.sink.Step(stepTo(b, a))
	require.Equal(t, []string{count(1)}, p.says())
}

// A step that one subscriber shares with others is written as the same bytes.
func TestStepsAreShared(t *testing.T) {
	t.Parallel()
	step := stepTo(listState(0, 1), listState(0, 2))
	var first [][]byte
	for range 2 {
		l := new(manual)
		p := newOffline(t, nil, l)
		p.takes(subscribeList)
		l.sink.Step(step)
		messages := p.Next(nil)
		require.Len(t, messages, 1)
		first = append(first, messages[0])
	}
	require.Same(t, &first[0][0], &first[1][0])
}

func TestGetsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList, getPage(0), getPage(1), badGet)
	require.Empty(t, p.says(), "the error waits for the answers before it")
	l.sink.Answer(listState(0, 1), 1)
	require.Equal(t, []string{setAll(0, 1)}, p.says())
	l.sink.Answer(listState(1, 1), 1)
	require.Equal(t, []string{setAll(1, 1), errorBadPage}, p.says())
	p.takes(badGet)
	require.Equal(t, []string{errorBadPage}, p.says(), "nothing to wait for")

	p.takes(getPage(2))
	l.sink.Answer(listState(2, 1), 1)
	p.takes(badGet)
	require.Equal(t, []string{setAll(2, 1), errorBadPage}, p.says(), "an answer that is not written yet")

	p.takes(getPage(3), getPage(4), badGet, badGet)
	l.sink.Answer(listState(4, 1), 2)
	require.Equal(t, []string{setAll(4, 1), errorBadPage, errorBadPage}, p.says(), "gets that are answered together")
}

// A get behind a bad one that still waits is not passed on, so that the list
// cannot answer together what has an error in between.
func TestGetWaitsForBadGet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(manual)
		p := newOffline(t, nil, l)
		p.takes(subscribeList, getPage(0), badGet)
		go p.takes(getPage(1))
		synctest.Wait()
		require.Equal(t, [][2]int{{0, 2}}, l.asked())
		l.sink.Answer(listState(0, 1), 1)
		synctest.Wait()
		require.Equal(t, [][2]int{{0, 2}, {1, 2}}, l.asked())
		l.sink.Answer(listState(1, 1), 1)
		require.Equal(t, []string{setAll(0, 1), errorBadPage, setAll(1, 1)}, p.says())
	})
}

func TestListFails(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList, getPage(0), getPage(1), getPage(2), badGet)
	l.sink.Answer(listState(0, 1), 1)
	l.sink.Fail(errors.New("the database is away, and this is a secret"), 1)
	l.sink.Fail(&protocol.Error{Code: protocol.BadIndex, Message: "fit for the peer"}, 1)
	require.Equal(t, []string{
		setAll(0, 1), errorNoList, `{"func":"error","error_code":8,"message":"fit for the peer"}`, errorBadPage,
	}, p.says())
	l.sink.Step(stepTo(listState(0, 1), listState(0, 2)))
	require.Equal(t, []string{count(2)}, p.says(), "the window is what it was")
}

func TestFailBetweenAnswers(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList, getPage(0), getPage(1), getPage(2))
	l.sink.Answer(listState(0, 1), 1)
	l.sink.Fail(errors.New("away"), 1)
	l.sink.Step(stepTo(listState(0, 1), listState(0, 2)))
	l.sink.Answer(listState(2, 3), 1)
	l.sink.Step(stepTo(listState(2, 3), listState(2, 4)))
	require.Equal(t, []string{setAll(0, 2), errorNoList, setAll(2, 4)}, p.says())
}

func TestUnsubscribeDropsWhatWaits(t *testing.T) {
	t.Parallel()
	l := new(manual)
	p := newOffline(t, nil, l)
	p.takes(subscribeList, getPage(0), badGet)
	l.sink.Step(stepTo(listState(0, 1), listState(0, 2)))
	old := l.sink
	p.takes(`{"func":"unsubscribe","type":"list","name":"l"}`)
	require.True(t, l.isClosed())
	require.Equal(t, []string{errorBadPage}, p.says(), "an error answers a message, so it stays")
	old.Answer(listState(0, 1), 1)
	old.Step(stepTo(listState(0, 1), listState(0, 2)))
	old.Fail(errors.New("late"), 1)
	require.Empty(t, p.says(), "what is late for a subscription that has ended")

	p.takes(subscribeList)
	old.Step(stepTo(listState(0, 1), listState(0, 2)))
	require.Empty(t, p.says(), "and it does not touch a newer one")
	l.sink.Step(stepTo(listState(0, 1), listState(0, 9)))
	require.Equal(t, []string{count(9)}, p.says())
}

// Subscriptions take turns.
func TestTurns(t *testing.T) {
	t.Parallel()
	l, v := new(manual), new(manualVar)
	p := newOffline(t, nil, l, v)
	p.takes(subscribeList, `{"func":"subscribe","type":"var","name":"v"}`)
	a, b := listState(0, 1), listState(0, 2)
	v.sink.Set(value(1))
	l.sink.Step(stepTo(a, b))
	v.sink.Set(value(2))
	p.takes(`{"func":"get","type":"list","name":"x"}`)
	require.Equal(t, []string{`{"func":"error","error_code":3,"message":"no such item"}`, set(2), count(2)}, p.says())
}

func TestVarFeed(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOffline(t, nil, v)
	get := `{"func":"get","type":"var","name":"v"}`
	p.takes(`{"func":"subscribe","type":"var","name":"v"}`, get, get)
	require.Equal(t, 2, v.gets)
	v.sink.Answer(value(1), 2)
	require.Equal(t, []string{set(1), set(1)}, p.says(), "every get has its answer")

	v.sink.Set(value(2))
	v.sink.Set(value(3))
	require.Equal(t, []string{set(3)}, p.says(), "only the last value counts")
	v.sink.Set(value(4))
	v.sink.Set(value(3))
	require.Empty(t, p.says(), "it is the last one sent")

	v.sink.Set(value(5))
	v.sink.Answer(value(5), 1)
	require.Equal(t, []string{set(5)}, p.says(), "the answer carries the change")
	v.sink.Answer(value(5), 1)
	v.sink.Set(value(6))
	require.Equal(t, []string{set(6)}, p.says(), "the change comes before the answer is written")

	v.sink.Answer(value(7), 1)
	v.sink.Fail(errors.New("secret"), 2)
	v.sink.Answer(value(8), 1)
	failed := `{"func":"error","error_code":8,"message":"var not available"}`
	require.Equal(t, []string{set(7), failed, failed, set(8)}, p.says())
	require.Zero(t, p.out.waiting())
}

// Replies count until they are taken, and nothing is left of them then.
func TestRepliesAreCounted(t *testing.T) {
	t.Parallel()
	l, v := new(manual), new(manualVar)
	p := newOffline(t, nil, l, v)
	p.takes(subscribeList, `{"func":"subscribe","type":"var","name":"v"}`, getPage(0), badGet, badGet)
	require.Equal(t, 2*len(errorBadPage), p.out.waiting())
	l.sink.Answer(listState(0, 1), 1)
	require.Equal(t, 2*len(errorBadPage), p.out.waiting())
	v.sink.Answer(value(12), 3)
	v.sink.Answer(value(345), 1)
	require.Equal(t, 2*len(errorBadPage)+4*3, p.out.waiting())
	p.takes(`{"func":"get","type":"var","name":"nothing"}`)
	require.Greater(t, p.out.waiting(), 2*len(errorBadPage)+4*3)
	require.Len(t, p.says(), 1+4+3)
	require.Zero(t, p.out.waiting())

	p.takes(getPage(0), badGet, `{"func":"unsubscribe_all"}`)
	require.Equal(t, []string{errorBadPage}, p.says())
	require.Zero(t, p.out.waiting())
}
