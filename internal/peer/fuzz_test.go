package peer

import (
	"context"
	"testing"

	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// FuzzReceive gives a peer, which provides and follows, whatever may come over a
// connection, in either version. Whatever that is, every answer can be sent, and a message that the
// peer has not answered leaves nothing behind in what waits.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		subscribeList, getPage(1), badGet, errorBadPage, count(3), set(4), callOf("x"), returnOf("x", "null"),
		`{"func":"unsubscribe_all"}`, `{"func":"unsubscribe","type":"list","name":"l"}`,
		`{"func":"get","type":"list","name":"l","page":9007199254740991,"page_size":"9007199254740991"}`,
		`{"func":"set_all","type":"list","name":"r","page":0,"page_size":2,"total_item_count":1,"items":[1]}`,
		`{"func":"insert","type":"list","name":"r","index":0,"value":[]}`,
		`{"func":"delete","type":"list","name":"r","index":7}`, `[]`, `{`, "\xff",
		`{"func":"get","type":"list","name":"l","id":"i","after":null,"page_size":2,"rev":"1.2"}`,
		`{"func":"get","type":"list","name":"l","sort":["-x"],"filter":{"y":{"lt":1}},"search":"z"}`,
		`{"func":"pause","type":"list","name":"l","id":"i"}`, `{"func":"resume","type":"list","name":"l"}`,
		`{"func":"get","type":"var","name":"v","view":"w","filter":{"x":1}}`, `{"func":"ok","id":"i"}`,
		`{"func":"step","type":"list","name":"r","rev":"1.2","changes":[{"func":"insert","index":0,"value":1}]}`,
		`{"func":"error","type":"list","name":"r","id":"i","error_code":8}`, `{"func":"authenticate","id":"i"}`,
	} {
		f.Add(seed, seed, true)
		f.Add(seed, subscribeList, false)
	}
	f.Fuzz(func(t *testing.T, first, second string, newer bool) {
		list := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 3})
		require.NoError(t, list.Replace([]int{1, 2, 3, 4}))
		p := newOffline(t, nil, list, memory.NewVar("v", 1), memory.NewFunc("f", func(_ context.Context, args any) (any, error) { return args, nil }))
		version := protocol.V1
		if newer {
			version = protocol.V2
		}
		p.Speak(version)
		require.NoError(t, p.Follow(NewRemoteList("r", nil)))
		require.NoError(t, p.Follow(NewRemoteVar("v", nil)))
		require.NoError(t, p.Subscribe("f"))
		p.says()
		for _, message := range []string{subscribeList, subscribeFunction, first, second} {
			if err := p.receive([]byte(message)); err != nil {
				require.ErrorIs(t, err, protocol.ErrInvalidUTF8)
			}
		}
		require.NoError(t, list.Insert(0, 5))
		p.runs.Wait()
		for _, message := range p.says() {
			_, err := version.Parse([]byte(message))
			require.NoError(t, err, message)
		}
		require.Zero(t, p.out.waiting())
	})
}
