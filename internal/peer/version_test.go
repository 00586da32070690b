package peer

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// The answer to a message that is bad says all that is known of where that belongs, in version 2. In version 1 it says
// nothing of it. An empty answer is none.
func TestRoutedErrors(t *testing.T) {
	t.Parallel()
	for message, want := range map[string][2]string{
		`{"func":"nonsense","type":"list","name":"l","view":"w","id":"i"}`: {
			`{"func":"error","error_code":1,"message":"the type has no such func"}`,
			`{"func":"error","type":"list","name":"l","view":"w","id":"i","error_code":1,"message":"the type has no such func"}`,
		},
		`{"type":"list","name":"l","view":"w","id":"i"}`: {
			`{"func":"error","error_code":1,"message":"func is missing or not a string"}`,
			`{"func":"error","type":"list","name":"l","view":"w","id":"i","error_code":1,"message":"func is missing or not a string"}`,
		},
		`{"func":"get","type":"table","name":"l","id":"i"}`: {
			`{"func":"error","error_code":2,"message":"type must be var, list or function"}`,
			`{"func":"error","name":"l","id":"i","error_code":2,"message":"type must be var, list or function"}`,
		},
		`{"func":"get","type":"list","name":"x","view":"","id":"i"}`: {
			`{"func":"error","error_code":3,"message":"no such item"}`,
			`{"func":"error","type":"list","name":"x","id":"i","error_code":3,"message":"no such item"}`,
		},
		`{"func":"step","type":"list","name":"l","view":7,"id":8}`: {
			`{"func":"error","error_code":1,"message":"the type has no such func"}`,
			`{"func":"error","type":"list","name":"l","error_code":8,"message":"view must be a string of 1 to 64 bytes"}`,
		},
		`{"func":"step","type":"list","name":"l","view":"w","id":8}`: {
			`{"func":"error","error_code":1,"message":"the type has no such func"}`,
			`{"func":"error","type":"list","name":"l","view":"w","error_code":1,"message":"not this end's part"}`,
		},
		`{"func":"subscribe","type":"list","name":"l","view":"w","id":""}`: {
			"",
			`{"func":"error","type":"list","name":"l","view":"w","error_code":6,"message":"id must be a string of 1 to 128 bytes"}`,
		},
		`{"func":"pause","type":"list","name":"l","view":"w","id":7}`: {
			`{"func":"error","error_code":1,"message":"the type has no such func"}`,
			`{"func":"error","type":"list","name":"l","view":"w","error_code":1,"message":"not subscribed"}`,
		},
		`{"func":"unsubscribe","type":"list","name":"l","view":"w","id":7}`: {
			`{"func":"error","error_code":1,"message":"not subscribed"}`,
			`{"func":"error","type":"list","name":"l","view":"w","error_code":1,"message":"not subscribed"}`,
		},
		`{"func":"unsubscribe_all","id":7}`: {
			"", `{"func":"error","error_code":6,"message":"id must be a string of 1 to 128 bytes"}`,
		},
		`{"func":"unsubscribe_all","id":"i"}`: {"", `{"func":"ok","id":"i"}`},
		`{"func":"authenticate","token":"t","id":"i"}`: {
			`{"func":"error","error_code":2,"message":"type must be var, list or function"}`,
			`{"func":"error","id":"i","error_code":8,"message":"no authentication on this connection"}`,
		},
		`{"func":"subscribe","type":"list","name":"l","view":"w","id":"i"}`:   {"", `{"func":"ok","id":"i"}`},
		`{"func":"subscribe","type":"list","name":"l","view":null,"id":null}`: {"", ""},
		`{"func":"subscribe","type":"function","name":"f","view":7,"id":"i"}`: {"", `{"func":"ok","id":"i"}`},
		`{"func":"call","type":"function","name":"f","id":"i"}`: {
			`{"func":"error","error_code":1,"message":"not subscribed"}`,
			`{"func":"error","type":"function","name":"f","id":"i","error_code":1,"message":"not subscribed"}`,
		},
		`[]`: {
			`{"func":"error","error_code":7,"message":"not a JSON object, or nested too deep"}`,
			`{"func":"error","error_code":7,"message":"not a JSON object, or nested too deep"}`,
		},
	} {
		for i, v := range []protocol.Version{protocol.V1, protocol.V2} {
			p := newOffline(t, nil, memory.NewList[int]("l", nil), echo("f"))
			p.Speak(v)
			require.Equal(t, v, p.Version())
			p.takes(message)
			var says []string
			if want[i] != "" {
				says = []string{want[i]}
			}
			require.Equal(t, says, p.says(), "version %d: %s", v, message)
		}
	}
}

func echo(name string) *memory.Func {
	return memory.NewFunc(name, func(_ context.Context, args json.RawMessage) (json.RawMessage, error) { return args, nil })
}

// A bad id of a get is decided behind its pages and in front of everything else.
func TestOrderOfBadFields(t *testing.T) {
	t.Parallel()
	p := newOfflineV2(t, nil, memory.NewList[int]("l", nil))
	about := `"type":"list","name":"l"`
	p.takes(`{"func":"subscribe",` + about + `}`)
	for fields, code := range map[string]protocol.Code{
		`"id":7,"page":-1,"sort":7`:              protocol.BadIndex,
		`"id":7,"sort":7`:                        protocol.BadID,
		`"sort":7`:                               protocol.Other,
		`"after":null,"page":0`:                  protocol.Other,
		`"rev":7`:                                protocol.Other,
		`"rev":"nonsense","view":"not followed"`: protocol.InvalidFunc,
	} {
		p.takes(`{"func":"get",` + about + `,` + fields + `}`)
		f, err := protocol.V2.Parse([]byte(p.says()[0]))
		require.NoError(t, err)
		require.Equal(t, code, f.PeerError().Code, fields)
	}
	p.takes(`{"func":"get",` + about + `,"rev":"nonsense","id":"i"}`)
	require.Contains(t, p.says()[0], `"func":"set_all"`, "a revision that is none is one that nobody knows")
}

// An item that is refused is forbidden in every view of it; a view that is subscribed is not asked about again.
func TestAuthorizeViews(t *testing.T) {
	t.Parallel()
	allowed, asked := true, 0
	p := newOfflineV2(t, &Config{Authorize: func(context.Context, any, protocol.ItemType, string) error {
		asked++
		if !allowed {
			return errors.New("no")
		}
		return nil
	}}, new(manual))
	p.takes(onView("subscribe", ""), getByID("g"))
	require.Equal(t, 1, asked)
	require.Empty(t, p.says())
	allowed = false
	p.takes(getByID("g"), `{"func":"subscribe","type":"list","name":"l","view":"other"}`)
	require.Equal(t, 2, asked)
	require.Equal(t, []string{
		`{"func":"error","type":"list","name":"l","view":"other","error_code":9,"message":"forbidden"}`,
	}, p.says())
}

// What a function says is routed to the call.
func TestRoutedCalls(t *testing.T) {
	t.Parallel()
	fails := memory.NewFunc("f", func(context.Context, any) (any, error) { return nil, errors.New("a secret") })
	p := newOfflineV2(t, &Config{Limits: Limits{Calls: 1}}, fails)
	call := `{"func":"call","type":"function","name":"f","id":"i"}`
	p.takes(`{"func":"subscribe","type":"function","name":"f"}`, call)
	p.runs.Wait()
	require.Equal(t, []string{
		`{"func":"error","type":"function","name":"f","id":"i","error_code":8,"message":"function failed"}`,
	}, p.says())
	p.takes(`{"func":"call","type":"function","name":"f"}`)
	require.Equal(t, []string{`{"func":"error","type":"function","name":"f","error_code":4,"message":"missing field id"}`}, p.says())
}
