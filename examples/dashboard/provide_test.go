package main

import "github.com/stretchr/testify/require"

// answers sends a request with an id, and requires the answer, which must have that id.
func (f *far) answers(request, answer heard) {
	f.t.Helper()
	request["id"], answer["id"] = "far", "far"
	f.send("%s", quote(request))
	m := f.any()
	for m["id"] != "far" { // the page asks for things of its own
		m = f.any()
	}
	require.JSONEq(f.t, quote(answer), quote(m), "%v", request)
}

// presence is a message about the page's var.
func presence(fn string, more heard) heard {
	m := heard{"func": fn, "type": "var", "name": "presence"}
	for name, value := range more {
		m[name] = value
	}
	return m
}

func testPeerProvidesVars(f *far) {
	f.begin()
	f.page.enter("#name", "Ada")
	ok, ada := heard{"func": "ok"}, heard{"name": "Ada"}
	refused := func(view string, code int, message string) heard {
		m := presence("error", heard{"error_code": code, "message": message})
		if view != "" {
			m["view"] = view
		}
		return m
	}
	f.answers(presence("get", heard{"view": "a"}), refused("a", 1, "there is no subscription"))
	f.answers(presence("subscribe", heard{"view": "a"}), ok)
	f.answers(presence("subscribe", nil), ok)
	f.answers(presence("get", heard{"view": "a"}), presence("set", heard{"view": "a", "value": ada}))
	f.answers(presence("get", nil), presence("set", heard{"value": ada}))
	f.answers(presence("get", heard{"view": "b"}), refused("b", 1, "there is no subscription"))
	f.answers(presence("get", heard{"filter": heard{"x": 1}}), refused("", 8, "this var has no parameters"))
	f.answers(presence("pause", nil), refused("", 1, "that cannot be done with a var"))

	f.page.enter("#name", "Grace") // a key at a time; the last is told to both
	told := map[any]bool{}
	for len(told) < 2 {
		if m := f.listen("presence"); quote(m["value"]) == `{"name":"Grace"}` {
			require.Equal(f.t, "set", m["func"])
			told[m["view"]] = true
		}
	}
	require.Equal(f.t, map[any]bool{"a": true, nil: true}, told)

	f.answers(presence("unsubscribe", heard{"view": "a"}), ok)
	f.answers(presence("unsubscribe", heard{"view": "a"}), refused("a", 1, "that cannot be done with a var"))
	f.answers(heard{"func": "unsubscribe_all"}, ok)
	f.answers(presence("get", nil), refused("", 1, "there is no subscription"))
	f.answers(heard{"func": "subscribe", "type": "list", "name": "rows", "view": "a"},
		heard{"func": "error", "type": "list", "name": "rows", "view": "a", "error_code": 3, "message": "there is no such list"})
}

func testPeerProvidesFunctions(f *far) {
	f.begin()
	about := func(fn, name string, more heard) heard {
		m := heard{"func": fn, "type": "function", "name": name}
		for key, value := range more {
			m[key] = value
		}
		return m
	}
	f.answers(about("subscribe", "notice", nil), heard{"func": "ok"})
	f.answers(about("call", "notice", heard{"args": heard{"text": "Gate <4>"}}), about("return", "notice", heard{"value": true}))
	f.page.shows("#toasts p", "Gate <4>")
	f.answers(about("call", "nothing", nil), about("error", "nothing", heard{"error_code": 3, "message": "there is no such function"}))
}

func testPeerCalls(f *far) {
	f.begin()
	call := func(flight string) heard {
		f.page.enter("#flight", flight)
		f.page.click("#delay button")
		m := f.listen("delay_flight")
		require.Equal(f.t, "subscribe", m["func"])
		m = f.listen("delay_flight")
		require.Equal(f.t, "call", m["func"])
		return m
	}
	one := call("5")
	require.Equal(f.t, heard{"id": 5.0, "minutes": 45.0}, heard(one["args"].(map[string]any)))
	f.send(`{"func":"error","type":"function","name":"delay_flight","id":%q,"error_code":8,"message":"not today"}`, one["id"])
	f.page.shows("#delay output", "not today")
	two := call("6")
	require.NotEqual(f.t, one["id"], two["id"])
	f.send(`{"func":"error","type":"function","name":"delay_flight","id":%q,"error_code":8,"message":"late"}`, one["id"]) // nobody waits for it
	f.send(`{"func":"return","type":"function","name":"delay_flight","id":%q,"value":{"id":6,"delay_minutes":45}}`, two["id"])
	f.page.shows("#delay output", "Flight 6: 45 minutes.")
}
