package window_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// What many subscribers of version 2 share is encoded once: the body for all of them, and the whole message for those
// whose views have one name and that did not ask for it.
func TestSharedMessages(t *testing.T) {
	t.Parallel()
	to := state(2, 2, rows("a", "b"))
	to.Rev = "1.2"
	step := window.NewStep(state(1, 2, rows("a")), to, "b")
	const goroutines = 8
	var wait sync.WaitGroup
	var steps, alls, bodies [goroutines]*byte
	for i := range goroutines {
		wait.Go(func() {
			r := protocol.Route{View: "w"}
			steps[i], alls[i] = &step.AsStep().Message("list", r)[0], &to.Shared().Message("list", r)[0]
			bodies[i] = &step.Shared().Body[0]
		})
	}
	wait.Wait()
	for i := range goroutines {
		require.Same(t, steps[0], steps[i])
		require.Same(t, alls[0], alls[i])
		require.Same(t, bodies[0], bodies[i])
	}
	for route, head := range map[protocol.Route]string{
		{View: "w"}:          `"view":"w",`,
		{View: "x"}:          `"view":"x",`,
		{}:                   ``,
		{View: "w", ID: "i"}: `"view":"w","id":"i",`,
	} {
		message := step.AsStep().Message("list", route)
		want := `{"func":"step","type":"list","name":"list",` + head + `"rev":"1.2","changes":[` +
			`{"func":"set_count","total_item_count":2},{"func":"insert","index":1,"value":"b"}]}`
		require.Equal(t, want, string(message))
		require.True(t, json.Valid(message))
		require.Equal(t, route == protocol.Route{View: "w"}, &message[0] == steps[0])
	}
	require.Equal(t, `{"func":"set_all","type":"list","name":"list","rev":"1.2","page":0,"page_size":2,"total_item_count":2,`+
		`"items":["a","b"]}`, string(to.Shared().Message("list", protocol.Route{})))
}
