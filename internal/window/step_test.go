package window_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

func lines(messages [][]byte) []string {
	var out []string
	for _, m := range messages {
		out = append(out, string(m))
	}
	return out
}

func TestMessages(t *testing.T) {
	t.Parallel()
	step := window.NewStep(state(3, 3, rows("a", "b", "c")), state(4, 3, rows("x", "a", "b")), "x")
	require.Equal(t, []string{
		`{"func":"set_count","type":"list","name":"list","total_item_count":4}`,
		`{"func":"delete","type":"list","name":"list","index":2}`,
		`{"func":"insert","type":"list","name":"list","index":0,"value":"x"}`,
	}, lines(step.Messages()))
}

func TestMessagesOfNothing(t *testing.T) {
	t.Parallel()
	step := window.NewStep(state(9, 2, rows("a", "b")), state(9, 2, rows("a", "b")), "z")
	require.Empty(t, step.Messages())
}

func TestMessagesOfCountAlone(t *testing.T) {
	t.Parallel()
	step := window.NewStep(state(9, 2, rows("a", "b")), state(8, 2, rows("a", "b")), "")
	require.Equal(t, []string{`{"func":"set_count","type":"list","name":"list","total_item_count":8}`}, lines(step.Messages()))
}

// A change of several rows is sent as a set_all exactly when that is shorter; a
// change of one row never is, however long its messages are.
func TestMessagesAreNotLongerThanSetAll(t *testing.T) {
	t.Parallel()
	old, now := state(2, 2, rows("a", "b")), state(2, 2, rows("c", "d"))
	require.Equal(t, []string{string(now.SetAll())}, lines(window.NewStep(old, now, "").Messages()))

	one, other := state(1, 1, rows("a")), state(1, 1, rows("b"))
	messages := window.NewStep(one, other, "c").Messages()
	require.Len(t, messages, 2)
	require.Greater(t, len(messages[0])+len(messages[1]), len(other.SetAll()))

	long := strings.Repeat("x", 200)
	from, to := state(3, 3, rows("a"+long, "b", "c")), state(3, 3, rows("a"+long, "c", "b"))
	require.Len(t, window.NewStep(from, to, "").Messages(), 2)
}

// Rows that were never read cannot be sent, so the window cannot be sent whole.
func TestMessagesOfRowsNotRead(t *testing.T) {
	t.Parallel()
	unread := func(total int, keys ...string) *window.State {
		page := rows(keys...)
		for i := range page {
			page[i].JSON = nil
		}
		return state(total, 9, page)
	}
	from, to := unread(5, "a", "b", "c", "d", "e"), unread(1, "e")
	require.False(t, to.Filled())
	require.Len(t, window.NewStep(from, to, "").Messages(), 5)
}

func TestThen(t *testing.T) {
	t.Parallel()
	one, two, three := state(2, 2, rows("a", "b")), state(2, 2, rows("a", "b2")), state(2, 2, rows("b3", "a"))
	first, second := window.NewStep(one, two, "b"), window.NewStep(two, three, "b")
	folded := first.Then(second)
	require.Same(t, one, folded.From)
	require.Same(t, three, folded.To)
	require.Equal(t, "b", folded.Changed)
	require.Same(t, folded, first.Then(second), "the same fold is shared")
	require.NotSame(t, folded, first.Then(window.NewStep(two, one, "b")))

	require.Empty(t, first.Then(window.NewStep(two, three, "a")).Changed)
	require.Empty(t, first.Then(window.NewStep(two, three, "")).Changed)
	require.Empty(t, first.Then(window.NewStep(two, one, "b")).Messages(), "there and back is nothing")
}

// What many subscribers share is encoded once, and by all of them at once.
func TestEncodedOnce(t *testing.T) {
	t.Parallel()
	step := window.NewStep(state(1, 2, rows("a")), state(2, 2, rows("a", "b")), "b")
	value := &window.Value{Name: "var", JSON: json.RawMessage(`1`)}
	const goroutines = 8
	var wait sync.WaitGroup
	var steps, alls, sets [goroutines]*byte
	for i := range goroutines {
		wait.Go(func() {
			steps[i], alls[i], sets[i] = &step.Messages()[0][0], &step.To.SetAll()[0], &value.Set()[0]
		})
	}
	wait.Wait()
	for i := range goroutines {
		require.Same(t, steps[0], steps[i])
		require.Same(t, alls[0], alls[i])
		require.Same(t, sets[0], sets[i])
	}
	require.JSONEq(t, `{"func":"set","type":"var","name":"var","value":1}`, string(value.Set()))
	require.JSONEq(t, `{"func":"set_all","type":"list","name":"list","page":0,"page_size":2,"total_item_count":2,"items":["a","b"]}`,
		string(step.To.SetAll()))
}
