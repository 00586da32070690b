package peer

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// same compares two JSON values.
func same(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && equal(x, y, nil)
}

func sameAll(a, b []json.RawMessage) bool {
	for i := range min(len(a), len(b)) {
		if !same(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// equal compares decoded JSON. A placeholder in want takes any string that names
// does not tell otherwise.
func equal(want, got any, names map[string]string) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(w) != len(g) {
			return false
		}
		for k := range w {
			if _, ok := g[k]; !ok || !equal(w[k], g[k], names) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(w) != len(g) {
			return false
		}
		for i := range w {
			if !equal(w[i], g[i], names) {
				return false
			}
		}
		return true
	case string:
		g, ok := got.(string)
		if ok && names != nil && strings.HasPrefix(w, "$") {
			known, taken := names[w]
			names[w] = g
			return !taken || known == g
		}
		return ok && w == g
	case float64:
		g, ok := got.(float64)
		return ok && math.Abs(w-g) == 0
	default:
		return want == got
	}
}

func grouped(t *testing.T, messages []json.RawMessage) map[string][]map[string]any {
	groups := make(map[string][]map[string]any)
	for _, m := range messages {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(m, &fields))
		group := fmt.Sprint(fields["type"], " ", fields["name"])
		groups[group] = append(groups[group], fields)
	}
	return groups
}

// normal takes away what vectors do not compare.
func normal(m map[string]any) any {
	switch m["func"] {
	case "error":
		if text, given := m["message"]; given && text == "" {
			return "an error without a message"
		}
		delete(m, "message")
	case "get":
		if _, ok := m["page"]; !ok && m["type"] == "list" {
			m["page"] = 0.0
		}
	case "return":
		if _, ok := m["value"]; !ok {
			m["value"] = nil
		}
	}
	return m
}
