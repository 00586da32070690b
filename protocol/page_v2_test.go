package protocol_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

const abcV2 = `{` + setAllV2 + `,"rev":"1.1","page":2,"page_size":3,"total_item_count":9,"key":["id"],"items":["a","b","c"]}`

func stepOf(fields, changes string) string {
	return `{` + stepV2 + `,"rev":"1.2",` + fields + `"changes":[` + changes + `]}`
}

// strictV2 is strict for version 2.
func strictV2(t *testing.T, p *protocol.Page, text string) (bool, protocol.Code) {
	t.Helper()
	f, err := protocol.V2.Parse([]byte(text))
	require.NoError(t, err)
	applied, err := p.Apply(&f)
	return applied, codeOf(t, err)
}

// TestPageStep has that a step is applied as a whole, each index on the page as it is when its turn comes.
func TestPageStep(t *testing.T) {
	t.Parallel()
	tests := []struct {
		changes string
		want    string // the items, or "" where the page is lost
		total   int
	}{
		{``, `["a","b","c"]`, 9},
		{`{"func":"set_count","total_item_count":10}`, `["a","b","c"]`, 10},
		{`{"func":"set_count","total_item_count":10},{"func":"delete","index":2},{"func":"insert","index":2,"value":"x"}`, `["a","b","x"]`, 10},
		{`{"func":"delete","index":0},{"func":"delete","index":0},{"func":"delete","index":0}`, `[]`, 9},
		{`{"func":"insert","index":3,"value":"d"},{"func":"set","index":3,"value":null}`, `["a","b","c",null]`, 9},
		{`{"func":"set_count","total_item_count":8},{"func":"delete","index":3}`, ``, 9},
		{`{"func":"insert","index":0,"value":"x"},{"func":"insert","index":5,"value":"y"}`, ``, 9},
		{`{"func":"delete","index":2},{"func":"set","index":2,"value":"y"}`, ``, 9},
		{`{"func":"set","index":0,"value":"x"},{"func":"delete","index":"y"}`, ``, 9},
	}
	for _, test := range tests {
		var p protocol.Page
		strictV2(t, &p, abcV2)
		held := p.Items
		applied, code := strictV2(t, &p, stepOf("", test.changes))
		require.Equal(t, test.total, p.Total, test.changes)
		if test.want == "" {
			require.False(t, applied, test.changes)
			require.Equal(t, protocol.BadIndex, code, test.changes)
			require.Equal(t, `["a","b","c"]`, compact(held), "something was applied")
			require.Equal(t, protocol.Page{Page: 2, PageSize: 3, Total: 9, Key: []string{"id"}}, p, test.changes)
			continue
		}
		require.True(t, applied, test.changes)
		require.Zero(t, code, test.changes)
		require.Equal(t, test.want, compact(p.Items), test.changes)
		require.Equal(t, "1.2", p.Rev)
		require.Equal(t, []string{"id"}, p.Key)
	}
}

// TestPageStepByHand has indexes that no message can have.
func TestPageStepByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []protocol.Change{
		{Func: protocol.FuncInsert, Index: -1},
		{Func: protocol.FuncSet, Index: -1},
		{Func: protocol.FuncDelete, Index: -1},
		{Func: protocol.FuncStep},
	} {
		var p protocol.Page
		strictV2(t, &p, abcV2)
		applied, err := p.Step(protocol.Step{Rev: "1.2", Changes: []protocol.Change{c}})
		require.False(t, applied)
		require.Equal(t, protocol.BadIndex, codeOf(t, err))
		require.False(t, p.Held)
	}
}

// TestPageStepErrors has that only error 5 costs the page, and that nothing of a step with an error is applied.
func TestPageStepErrors(t *testing.T) {
	t.Parallel()
	for m, want := range map[string]protocol.Code{
		stepOf("", `{"func":"set","index":0,"value":"x"},{"func":"set","index":0}`): protocol.MissingField,
		stepOf("", `{"func":"set","index":0,"value":"x"},{"func":"set_all"}`):       protocol.InvalidFunc,
		stepOf("", `{"func":"set","index":0,"value":"x"},5`):                        protocol.Other,
		stepOf(`"after":5,`, ``):                                                    protocol.Other,
		stepOf(`"id":5,`, ``):                                                       protocol.BadID,
		`{` + pending + `,"total_item_count":1,"pending":"x"}`:                      protocol.Other,
		`{"func":"set_count","type":"list","name":"l","total_item_count":1}`:        protocol.InvalidFunc,
		`{"func":"insert","type":"list","name":"l","index":9,"value":1}`:            protocol.InvalidFunc,
		`{"func":"delete","type":"list","name":"l","index":9}`:                      protocol.InvalidFunc,
		`{"func":"set","type":"list","name":"l","index":9,"value":1}`:               protocol.InvalidFunc,
		`{"func":"get","type":"list","name":"l"}`:                                   protocol.InvalidFunc,
		`{` + setAllV2 + `,"page":0,"page_size":1,"total_item_count":0,"items":[]}`: protocol.MissingField,
	} {
		var p protocol.Page
		strictV2(t, &p, abcV2)
		applied, code := strictV2(t, &p, m)
		require.False(t, applied, m)
		require.Equal(t, want, code, m)
		require.Equal(t, `["a","b","c"]`, compact(p.Items), m)
		require.Equal(t, 9, p.Total, m)
		require.Equal(t, "1.1", p.Rev, m)
	}
}

// TestPagePending has that a paused window keeps its items and its total, and that what is missing is forgotten with the
// next step or set_all.
func TestPagePending(t *testing.T) {
	t.Parallel()
	paused := func() *protocol.Page {
		var p protocol.Page
		strictV2(t, &p, abcV2)
		applied, code := strictV2(t, &p, `{`+pending+`,"total_item_count":12,"pending":2}`)
		require.True(t, applied)
		require.Zero(t, code)
		require.Equal(t, []int{2, 12, 9}, []int{p.Pending, p.PendingTotal, p.Total})
		require.Equal(t, `["a","b","c"]`, compact(p.Items))
		require.Equal(t, "1.1", p.Rev)
		return &p
	}
	p := paused()
	strictV2(t, p, stepOf("", ""))
	require.Equal(t, []int{0, 0, 9}, []int{p.Pending, p.PendingTotal, p.Total})
	p = paused()
	strictV2(t, p, abcV2)
	require.Equal(t, []int{0, 0, 9}, []int{p.Pending, p.PendingTotal, p.Total})
	p = paused()
	p.Lose()
	require.Equal(t, protocol.Page{Page: 2, PageSize: 3, Total: 9, Key: []string{"id"}}, *p)
	applied, code := strictV2(t, p, `{`+pending+`,"total_item_count":12,"pending":2}`)
	require.False(t, applied)
	require.Zero(t, code)
	require.Zero(t, p.Pending)
}

// TestPageHoldingNothingV2 has that of a step only the total is taken as long as no page is held.
func TestPageHoldingNothingV2(t *testing.T) {
	t.Parallel()
	var p protocol.Page
	applied, code := strictV2(t, &p, stepOf("", `{"func":"set_count","total_item_count":4},{"func":"delete","index":7}`))
	require.True(t, applied)
	require.Zero(t, code)
	require.Equal(t, protocol.Page{Total: 4}, p)
	applied, code = strictV2(t, &p, stepOf(`"after":[1],`, `{"func":"insert","index":0,"value":"x"}`))
	require.False(t, applied)
	require.Zero(t, code)
	require.Equal(t, protocol.Page{Total: 4}, p)
}

// TestPageAnchor has that the anchor is that of the last message that named one.
func TestPageAnchor(t *testing.T) {
	t.Parallel()
	var p protocol.Page
	strictV2(t, &p, `{`+setAllV2+`,"rev":"1.1","after":[7,"x"],"page_size":3,"total_item_count":9,"items":["a"]}`)
	require.True(t, p.Anchored)
	require.Equal(t, `[7,"x"]`, compact(p.After))
	strictV2(t, &p, stepOf("", ""))
	require.Equal(t, `[7,"x"]`, compact(p.After))
	strictV2(t, &p, stepOf(`"after":[6,"x"],`, ""))
	require.Equal(t, `[6,"x"]`, compact(p.After))
	strictV2(t, &p, stepOf(`"after":null,`, ""))
	require.True(t, p.Anchored)
	require.Nil(t, p.After)
	strictV2(t, &p, abcV2)
	require.False(t, p.Anchored)
}

// TestPageCopiesV2 has that a page outlives the buffers that messages come in.
func TestPageCopiesV2(t *testing.T) {
	t.Parallel()
	var p protocol.Page
	var after []string
	for _, m := range []string{
		`{` + setAllV2 + `,"rev":"1.1","after":[7],"page_size":3,"total_item_count":9,"key":["id"],"items":["a","b"]}`,
		stepOf(`"after":["k"],`, `{"func":"insert","index":0,"value":"x"},{"func":"set","index":1,"value":"y"}`),
	} {
		buffer := []byte(m)
		f, err := protocol.V2.Parse(buffer)
		require.NoError(t, err)
		_, err = p.Apply(&f)
		require.NoError(t, err)
		clear(buffer)
		after = append(after, compact(p.After))
	}
	require.Equal(t, `["x","y","b"]`, compact(p.Items))
	require.Equal(t, []string{`[7]`, `["k"]`}, after)
	require.Equal(t, []string{"id"}, p.Key)
	require.Equal(t, "1.2", p.Rev)
}
