package peer

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

// onVar is a message about the view "w" of the var "v".
func onVar(fn, fields string) string {
	return fmt.Sprintf(`{"func":%q,"type":"var","name":"v","view":"w"%s}`, fn, fields)
}

func setVar(id string, n int) string { return onVar("set", withID(id)+fmt.Sprintf(`,"value":%d`, n)) }

func getVar(id, fields string) string { return onVar("get", withID(id)+fields) }

func varFails(id, message string) string {
	return onVar("error", withID(id)+fmt.Sprintf(`,"error_code":8,"message":%q`, message))
}

func TestValueBegins(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOfflineV2(t, nil, v)
	p.takes(onVar("subscribe", `,"id":"s"`))
	v.sink.Set(value(1))
	require.Equal(t, []string{okay("s")}, p.says(), "no window yet")
	p.takes(getVar("a", `,"filter":{"airport":"ZRH","least":{"eq":5}}`))
	require.Equal(t, []window.Condition{
		{Column: "airport", Operator: "eq", Value: []byte(`"ZRH"`)}, {Column: "least", Operator: "eq", Value: []byte(`5`)},
	}, v.filters[0])
	v.sink.Answer(value(2), 1)
	require.Equal(t, []string{setVar("a", 2)}, p.says())
	v.sink.Set(value(3))
	require.Equal(t, []string{setVar("", 3)}, p.says())
}

// Every get for the same parameters has its answer, gets for others are superseded.
func TestValueAnswers(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOfflineV2(t, nil, v)
	one, two := `,"filter":{"x":1}`, `,"filter":{"x":2}`
	p.takes(onVar("subscribe", ""), getVar("a", one), getVar("b", two), getVar("c", `,"filter":{"x":[]}`), getVar("d", two), getVar("", two))
	v.sink.Answer(value(1), 4)
	bad := varFails("c", "filter: x: eq takes a string, number, boolean or null, of at most 4096 bytes")
	require.Equal(t, []string{varFails("a", "superseded"), setVar("b", 1), bad, setVar("d", 1), setVar("", 1)}, p.says())

	v.sink.Set(value(2))
	v.sink.Set(value(3))
	require.Equal(t, []string{setVar("", 3)}, p.says(), "only the last value counts")
	v.sink.Set(value(4))
	v.sink.Set(value(3))
	require.Empty(t, p.says(), "it is the last one sent")

	p.takes(getVar("e", two), getVar("f", two), getVar("g", one))
	v.sink.Set(value(5))
	v.sink.Answer(value(5), 1)
	v.sink.Set(value(6))
	v.sink.Answer(value(6), 1)
	v.sink.Answer(value(9), 1)
	v.sink.Set(value(10))
	require.Equal(t, []string{setVar("e", 6), setVar("f", 6), setVar("g", 10)}, p.says())

	v.sink.Set(value(11))
	p.takes(getVar("h", two))
	v.sink.Answer(value(12), 1)
	require.Equal(t, []string{setVar("h", 12)}, p.says(), "of the parameters before nobody needs to know")

	p.takes(getVar("i", two), getVar("j", two), getVar("k", two))
	v.sink.Answer(value(13), 1)
	v.sink.Fail(errors.New("secret"), 1)
	v.sink.Set(value(14))
	v.sink.Answer(value(15), 1)
	require.Equal(t, []string{setVar("i", 14), varFails("j", "var not available"), setVar("k", 15)}, p.says())

	p.takes(getVar("o", two), getVar("q", two))
	v.sink.Set(value(20))
	v.sink.Fail(errors.New("secret"), 1)
	v.sink.Answer(value(21), 1)
	require.Equal(t, []string{varFails("o", "var not available"), setVar("q", 21)}, p.says(), "nobody needs to see the old value")

	p.takes(getVar("l", one), getVar("m", two), getVar("n", two))
	v.sink.Fail(window.Refusal("no such two"), 3)
	v.sink.Set(value(16))
	require.Equal(t, []string{
		varFails("l", "superseded"), varFails("m", "no such two"), varFails("n", "no such two"), setVar("", 16),
	}, p.says(), "and the value that is followed stays")
	require.Zero(t, p.out.waiting())
}

func TestValueAnswersAreCounted(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOfflineV2(t, nil, v)
	p.takes(onVar("subscribe", ""), getVar("a", ""), getVar("b", ""), getVar("c", ""))
	v.sink.Answer(value(12), 2)
	require.Equal(t, 4, p.out.waiting())
	v.sink.Set(value(1234))
	require.Equal(t, 8, p.out.waiting())
	v.sink.Answer(value(5), 1)
	require.Equal(t, 3, p.out.waiting())
	require.Equal(t, []string{setVar("a", 5), setVar("b", 5), setVar("c", 5)}, p.says())
	require.Zero(t, p.out.waiting())
}

func TestValueEnds(t *testing.T) {
	t.Parallel()
	v := new(manualVar)
	p := newOfflineV2(t, nil, v)
	p.takes(onVar("subscribe", ""), getVar("a", ""), getVar("b", ""), getVar("", ""))
	v.sink.Answer(value(1), 1)
	p.takes(onVar("unsubscribe", `,"id":"u"`))
	require.Equal(t, []string{setVar("a", 1), varFails("b", "superseded"), okay("u")}, p.says())
	v.sink.Set(value(2))
	v.sink.Answer(value(2), 2)
	require.Empty(t, p.says())
	require.Zero(t, p.out.waiting())

	p.takes(onVar("subscribe", ""), getVar("", ""))
	v.sink.Answer(value(1), 1)
	p.takes(onVar("unsubscribe", ""))
	require.Empty(t, p.says(), "nobody waits for it")
}

func TestUnansweredValues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := new(manualVar)
		p := newOfflineV2(t, nil, v)
		p.takes(onVar("subscribe", ""))
		go func() {
			for range mostUnanswered + 1 {
				p.takes(getVar("x", ""))
			}
		}()
		synctest.Wait()
		require.Equal(t, mostUnanswered, v.gets)
		v.sink.Answer(value(1), mostUnanswered)
		synctest.Wait()
		require.Equal(t, mostUnanswered+1, v.gets)
	})
}

// Vars are not paused.
func TestValueIsNotPaused(t *testing.T) {
	t.Parallel()
	p := newOfflineV2(t, nil, new(manualVar))
	p.takes(onVar("subscribe", ""), onVar("pause", `,"id":"p"`))
	require.Equal(t, []string{onVar("error", `,"id":"p","error_code":1,"message":"the type has no such func"`)}, p.says())
}
