package peer

import (
	"encoding/json"
	"fmt"
	"maps"
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
		for k := range g {
			_, known := w[k]
			ok = ok && known
		}
		for k := range w {
			if _, there := g[k]; !there && isOptional(w[k]) {
				continue
			} else if !there || !equal(w[k], g[k], names) {
				return false
			}
		}
		return ok
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

// isOptional reports whether a field with a value may be absent.
func isOptional(want any) bool {
	text, ok := want.(string)
	return ok && strings.HasPrefix(text, "$?")
}

// without takes away the fields of a message to be sent that hold a placeholder that stands for nothing.
func without(t *testing.T, message []byte) []byte {
	if !strings.Contains(string(message), `"$?`) {
		return message
	}
	var fields map[string]any
	require.NoError(t, json.Unmarshal(message, &fields))
	maps.DeleteFunc(fields, func(_ string, value any) bool { return isOptional(value) })
	message, err := json.Marshal(fields)
	require.NoError(t, err)
	return message
}

// grouped puts the messages about one item together or, if byView, about one view of it.
func grouped(t *testing.T, messages []json.RawMessage, byView bool) map[string][]map[string]any {
	groups := make(map[string][]map[string]any)
	for _, m := range messages {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(m, &fields))
		group := fmt.Sprint(fields["type"], " ", fields["name"])
		if byView {
			group += fmt.Sprint(" ", fields["view"])
		}
		groups[group] = append(groups[group], fields)
	}
	return groups
}

// normal takes away what vectors do not compare. want is the expected message, nil if m is that.
func normal(m, want map[string]any) any {
	switch m["func"] {
	case "error":
		if want == nil {
			break
		}
		if text, _ := m["message"].(string); text == "" {
			return "an error without a message"
		}
		if _, compared := want["message"]; !compared {
			delete(m, "message")
		}
	case "get":
		if filter, ok := m["filter"].(map[string]any); ok {
			spellOut(filter)
		}
		if _, ok := m["page"]; !ok && m["type"] == "list" && !hasAfter(m) {
			m["page"] = 0.0
		}
	case "return":
		if _, ok := m["value"]; !ok {
			m["value"] = nil
		}
	}
	return m
}

func hasAfter(m map[string]any) bool {
	_, ok := m["after"]
	return ok
}

// spellOut has no condition of a filter be short for eq.
func spellOut(filter map[string]any) {
	for column, value := range filter {
		if _, ok := value.(map[string]any); !ok {
			filter[column] = map[string]any{"eq": value}
		}
	}
}
