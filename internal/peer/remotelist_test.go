package peer

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

func raws(values ...string) []json.RawMessage {
	all := make([]json.RawMessage, len(values))
	for i, v := range values {
		all[i] = json.RawMessage(v)
	}
	return all
}

// anchored is a list of two items from its start, with the answer that it got.
func anchored(t *testing.T, p *offline) (*watched, asked) {
	t.Helper()
	w := watch(ListOptions{Want: Want{Anchored: true, Size: 2}})
	subscribe, get := p.opens(w)
	require.Nil(t, get.Page)
	require.Equal(t, "null", string(get.After))
	p.takes(ok(subscribe), rows(get, "1.1", "null", "[1,2]"))
	require.Equal(t, []string{"set_all [1 2] of 9"}, w.saw())
	return w, get
}

func (w *watched) grow(size int) func(context.Context) (protocol.Page, error) {
	return func(ctx context.Context) (protocol.Page, error) { return w.Grow(ctx, size) }
}

func (w *watched) choose(want Want) func(context.Context) (protocol.Page, error) {
	return func(ctx context.Context) (protocol.Page, error) { return w.Choose(ctx, want) }
}

func (w *watched) pause(ctx context.Context) (protocol.Page, error) {
	return protocol.Page{}, w.Pause(ctx)
}

// Nobody sees a page between two states.
func TestStepIsOneChange(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	_, get := p.opens(w)
	p.takes(firstPage(get, "1.1", 2, "[1,2]"), leads(get, "1.2",
		`{"func":"set_count","total_item_count":3},{"func":"delete","index":1},{"func":"insert","index":0,"value":0},{"func":"set","index":1,"value":9}`))
	require.Equal(t, []string{"set_all [1 2] of 2", "step [0 9] of 3"}, w.saw())
	require.Equal(t, "1.2", w.Snapshot().Rev)
	p.takes(leads(get, "1.3", ""))
	require.Equal(t, []string{"step [0 9] of 3"}, w.saw())
	require.Equal(t, "1.3", w.Snapshot().Rev)

	// Messages of version 1 are none.
	p.takes(head("delete", get, false) + `"index":0}`)
	require.Equal(t, protocol.InvalidFunc, p.one().Code)
	require.Empty(t, w.saw())
}

// A step that cannot be applied loses the page, which is asked for again, without the revision that is not held.
func TestStepThatDoesNotFit(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	_, get := p.opens(w)
	p.takes(firstPage(get, "1.1", 2, "[1,2]"), leads(get, "1.2", `{"func":"delete","index":0},{"func":"delete","index":1}`))
	require.Equal(t, []protocol.Code{protocol.BadIndex}, w.codes())
	all := p.asks()
	require.Len(t, all, 2)
	require.Equal(t, asked{Func: "error", Type: "list", Name: "l", View: get.View, Code: protocol.BadIndex}, all[0])
	again := all[1]
	require.Equal(t, asked{Func: "get", Type: "list", Name: "l", View: get.View, ID: again.ID, Page: new(int)}, again)
	require.False(t, w.Snapshot().Held)
	p.takes(leads(get, "1.3", `{"func":"insert","index":0,"value":7},{"func":"set_count","total_item_count":4}`))
	require.Equal(t, 4, w.Snapshot().Total)
	w.saw()
	p.takes(firstPage(again, "1.4", 3, "[3]"))
	require.Equal(t, []string{"set_all [3] of 3"}, w.saw())

	// A message that cannot be read changes nothing.
	p.takes(leads(get, "1.5", `{"func":"insert","index":0}`))
	require.Equal(t, protocol.MissingField, p.one().Code)
	require.Equal(t, []protocol.Code{protocol.MissingField}, w.codes())
	require.Equal(t, "1.4", w.Snapshot().Rev)
}

// A page that was lost is wanted until it comes, also if the other end cannot give it just now.
func TestRetriesWhatIsLost(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, get := anchored(t, p)
	p.takes(leads(get, "1.2", `{"func":"delete","index":7}`))
	p.takes(refuses(p.asks()[1], protocol.Other, "not now"))
	w.Retry()
	require.Equal(t, "get", p.one().Func)
}

// Who has lost the page and grows it is sent what leads on from the lost one: it asks for all.
func TestGrowsWhatIsLost(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, _ := anchored(t, p)
	grow, done := p.begins(w.grow(4))
	p.takes(leads(grow, "1.2", `{"func":"delete","index":7}`))
	require.Len(t, p.asks(), 2, "the error, and a get")
	p.takes(leadsAnswer(grow, "1.3", `{"func":"insert","index":2,"value":3}`))
	require.Empty(t, p.says(), "that one was for a get before the last")
	_, err := w.Grow(dead(t), 6)
	require.Error(t, err)
	last := p.one()
	<-done
	p.takes(leadsAnswer(last, "1.3", `{"func":"insert","index":2,"value":3}`))
	require.False(t, w.Snapshot().Held)
	again := p.one()
	require.Equal(t, 6, again.PageSize)
	require.Empty(t, again.Rev)
	p.takes(rows(again, "1.3", "null", "[1,2,3]"))
	require.True(t, w.Snapshot().Held)
}

// Growing asks for the same but for the size, and takes only what is new.
func TestGrow(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, _ := anchored(t, p)
	grow, done := p.begins(w.grow(4))
	require.Equal(t, asked{
		Func: "get", Type: "list", Name: "l", View: grow.View, ID: grow.ID, After: json.RawMessage("null"), PageSize: 4,
	}, grow)
	p.takes(leads(grow, "1.2", `{"func":"set","index":0,"value":0}`))
	require.Empty(t, done)
	p.takes(leadsAnswer(grow, "1.3", `{"func":"insert","index":2,"value":3},{"func":"insert","index":3,"value":4}`))
	answer := <-done
	require.NoError(t, answer.err)
	require.Equal(t, raws("0", "2", "3", "4"), answer.page.Items)
	require.Equal(t, 4, answer.page.PageSize)
	require.Equal(t, []string{"id"}, answer.page.Key)
	require.Equal(t, []string{"step [0 2] of 9", "step [0 2 3 4] of 9"}, w.saw())
}

// An anchor that moved is what the next connection is told.
func TestGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	first, second, third := newV2(t, &Config{Resume: true}), newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{Want: Want{
		Anchored: true, After: raws("5", `"x"`), Size: 2,
		Choice: protocol.Choice{Sort: []string{"-a"}, Search: "fog", Filter: []protocol.Condition{
			{Column: "b", Operator: protocol.OpGt, Value: raws("1")[0]},
		}},
	}})
	_, get := first.opens(w)
	require.JSONEq(t, `[5,"x"]`, string(get.After))
	require.Equal(t, []string{"-a"}, get.Sort)
	require.Equal(t, "fog", get.Search)
	require.JSONEq(t, `{"b":{"gt":1}}`, string(get.Filter))
	require.Empty(t, get.Rev)
	first.takes(rows(get, "1.1", `[5,"x"]`, "[6,7]"))
	first.takes(head("step", get, false) + `"rev":"1.2","after":[4,null],"changes":[]}`)
	first.end(ErrClosed)
	require.True(t, w.Snapshot().Held)

	_, again := second.opens(w)
	require.Equal(t, "1.2", again.Rev)
	require.JSONEq(t, `[4,null]`, string(again.After))
	require.Equal(t, []string{"-a"}, again.Sort)
	require.True(t, w.Snapshot().Held, "it is shown until the answer")
	w.saw()
	second.takes(leads(again, "1.9", `{"func":"delete","index":0}`), head("set_pending", again, false)+`"total_item_count":1,"pending":1}`)
	require.Empty(t, w.saw(), "that cannot be: nothing is answered yet")
	second.takes(leadsAnswer(again, "1.4", `{"func":"set","index":1,"value":8}`))
	require.Equal(t, []string{"step [6 8] of 9"}, w.saw())
	grow, _ := second.begins(w.grow(3))
	require.JSONEq(t, `[4,null]`, string(grow.After), "the anchor of the get before")
	require.Empty(t, grow.Rev, "there is a window already")
	second.end(ErrClosed)

	// It grows while the connection is lost, so the state is of another window.
	_, last := third.opens(w)
	require.Equal(t, 3, last.PageSize)
	require.Empty(t, last.Rev)
	third.takes(rows(last, "2.1", `[4,null]`, "[1,2,3]"))
	require.Equal(t, []string{"set_all [1 2 3] of 9"}, w.saw())
}

// A connection that ends before the answer changes nothing of what is held, nor of where it is.
func TestIsLostTwice(t *testing.T) {
	t.Parallel()
	first, second, third := newV2(t, &Config{Resume: true}), newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{Want: Want{Anchored: true, After: raws("5"), Size: 2}})
	_, get := first.opens(w)
	first.takes(rows(get, "1.1", "[5]", "[6,7]"), head("step", get, false)+`"rev":"1.2","after":[4],"changes":[]}`)
	first.end(ErrClosed)
	for _, p := range []*offline{second, third} {
		_, again := p.opens(w)
		require.Equal(t, "1.2", again.Rev)
		require.Equal(t, "[4]", string(again.After))
		if p == second {
			p.end(ErrClosed)
		}
	}
}

// Only the first get over a connection says what is held: by the next answer it is another state.
func TestRevisionIsSaidOnce(t *testing.T) {
	t.Parallel()
	first, second := newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, get := first.opens(w)
	first.takes(firstPage(get, "1.1", 2, "[1,2]"))
	first.end(ErrClosed)

	_, again := second.opens(w)
	require.Equal(t, "1.1", again.Rev)
	next, done := second.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 0, 2) })
	require.Empty(t, next.Rev)
	w.saw()
	second.takes(leadsAnswer(again, "1.2", `{"func":"set","index":0,"value":7}`), firstPage(next, "1.2", 2, "[7,2]"))
	require.NoError(t, (<-done).err)
	require.Equal(t, []string{"step [7 2] of 2", "set_all [7 2] of 2"}, w.saw())
	last, _ := second.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 0, 2) })
	require.Empty(t, last.Rev, "steps may be on their way")
}

// What was chosen while there was no connection is not what is held.
func TestChoosesWithoutConnection(t *testing.T) {
	t.Parallel()
	first, second := newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, get := first.opens(w)
	first.takes(firstPage(get, "1.1", 2, "[1,2]"))
	first.end(ErrClosed)
	_, err := w.Choose(dead(t), Want{Size: 2, Choice: protocol.Choice{Sort: []string{"a"}}})
	require.ErrorIs(t, err, context.Canceled)
	_, again := second.opens(w)
	require.Empty(t, again.Rev)
	require.Equal(t, []string{"a"}, again.Sort)
	require.True(t, w.Snapshot().Held)
}

// As long as there was no answer over this connection, asking again says what is held.
func TestRetriesWithRevision(t *testing.T) {
	t.Parallel()
	first, second := newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, get := first.opens(w)
	first.takes(firstPage(get, "1.1", 2, "[1,2]"))
	first.end(ErrClosed)
	_, again := second.opens(w)
	w.Retry()
	require.Empty(t, second.says(), "it is being answered")
	second.takes(refuses(again, protocol.Other, "not now"))
	require.Equal(t, []protocol.Code{protocol.Other}, w.codes())
	require.True(t, w.Snapshot().Held)
	w.Retry()
	require.Equal(t, "1.1", second.one().Rev)
}

// If the row is gone behind which the window began, it begins at the start.
func TestAnchorIsGone(t *testing.T) {
	t.Parallel()
	first, second := newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{Want: Want{Anchored: true, After: raws("5"), Size: 2}})
	_, get := first.opens(w)
	first.takes(refuses(get, protocol.Other, "after: no such row"))
	require.Empty(t, first.says(), "who chose it is to choose another")
	require.Len(t, w.codes(), 1)
	w.Retry()
	first.takes(rows(first.one(), "1.1", "[5]", "[6,7]"))
	first.end(ErrClosed)

	_, again := second.opens(w)
	second.takes(refuses(again, protocol.Other, "not now"))
	require.Empty(t, second.says())
	w.Retry()
	second.takes(refuses(second.one(), protocol.Other, "after: no such row"))
	start := second.one()
	require.Equal(t, "null", string(start.After))
	require.Empty(t, start.Rev)
	second.takes(rows(start, "2.1", "null", "[1,2]"))
	require.Len(t, w.codes(), 2)
	require.Equal(t, raws("1", "2"), w.Snapshot().Items)
}

// A choice that is refused changes nothing: neither what is held nor what is asked for again.
func TestChoiceIsRefused(t *testing.T) {
	t.Parallel()
	first, second := newV2(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, get := first.opens(w)
	first.takes(firstPage(get, "1.1", 2, "[1,2]"))
	bad, done := first.begins(w.choose(Want{Choice: protocol.Choice{Sort: []string{"secret"}}}))
	first.takes(refuses(bad, protocol.Other, "sort: secret: not allowed"))
	require.ErrorContains(t, (<-done).err, "secret")
	require.Len(t, w.codes(), 1)
	w.Retry()
	require.Empty(t, first.says())
	first.takes(leads(get, "1.2", `{"func":"set","index":0,"value":3}`))
	require.Equal(t, raws("3", "2"), w.Snapshot().Items)
	first.end(ErrClosed)
	_, again := second.opens(w)
	require.Equal(t, "1.2", again.Rev)
	require.Empty(t, again.Sort)
}

// What is no choice is not sent.
func TestWhatIsNoChoice(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, _ := anchored(t, p)
	for name, want := range map[string]Want{
		"page":     {Page: -1},
		"after":    {Anchored: true, After: raws(`{}`)},
		"operator": {Choice: protocol.Choice{Filter: []protocol.Condition{{Column: "a", Operator: "like", Value: raws("1")[0]}}}},
		"JSON":     {Choice: protocol.Choice{Filter: []protocol.Condition{{Column: "a", Operator: protocol.OpEq, Value: raws(`"`)[0]}}}},
		"search":   {Choice: protocol.Choice{Search: string(make([]byte, protocol.MaxSearch+1))}},
	} {
		_, err := w.Choose(t.Context(), want)
		require.Error(t, err, name)
		require.NotZero(t, codeOf(err), name)
		require.Error(t, p.Follow(NewRemoteList("l", &ListOptions{Want: want})), name)
	}
	require.Empty(t, p.says())
	require.Empty(t, p.asked.queries)
}

// Pausing holds the page and says what it is missing; resuming brings it.
func TestFollowerPauses(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, get := anchored(t, p)
	pause, paused := p.begins(w.pause)
	require.Equal(t, asked{Func: "pause", Type: "list", Name: "l", View: get.View, ID: pause.ID}, pause)
	p.takes(leads(get, "1.2", `{"func":"set","index":0,"value":0}`))
	require.False(t, w.Paused())
	require.Empty(t, paused)
	p.takes(ok(pause))
	require.NoError(t, (<-paused).err)
	require.True(t, w.Paused())
	w.saw()
	p.takes(head("set_pending", get, false) + `"total_item_count":12,"pending":2}`)
	held := w.Snapshot()
	require.Equal(t, []string{"set_pending [0 2] of 9"}, w.saw())
	require.Equal(t, [2]int{2, 12}, [2]int{held.Pending, held.PendingTotal})

	resume, resumed := p.begins(w.Resume)
	require.Equal(t, asked{Func: "resume", Type: "list", Name: "l", View: get.View, ID: resume.ID}, resume)
	p.takes(leadsAnswer(resume, "1.9", `{"func":"set_count","total_item_count":12},{"func":"set","index":1,"value":7}`))
	answer := <-resumed
	require.NoError(t, answer.err)
	require.Equal(t, raws("0", "7"), answer.page.Items)
	require.Zero(t, answer.page.Pending)
	require.False(t, w.Paused())

	// A get ends it too.
	pause, paused = p.begins(w.pause)
	p.takes(ok(pause))
	require.NoError(t, (<-paused).err)
	grow, grown := p.begins(w.grow(3))
	p.takes(leadsAnswer(grow, "1.9", ""))
	require.NoError(t, (<-grown).err)
	require.False(t, w.Paused())
	require.Empty(t, p.asked.queries)
}

// What becomes of who waits for a pause.
func TestFollowerCannotPause(t *testing.T) {
	t.Parallel()
	p := newV2(t, &Config{Resume: true})
	w := watch(ListOptions{})
	require.ErrorIs(t, w.Pause(t.Context()), ErrClosed, "not followed")
	_, get := p.opens(w)
	pause, paused := p.begins(w.pause)
	p.takes(refuses(pause, protocol.InvalidFunc, "no window"))
	require.Equal(t, protocol.InvalidFunc, codeOf((<-paused).err))
	require.Len(t, w.codes(), 1)
	p.takes(firstPage(get, "1.1", 1, "[1]"))
	require.Equal(t, []string{"set_all [1] of 1"}, w.saw(), "the get is answered all the same")

	require.ErrorIs(t, w.Pause(dead(t)), context.Canceled)
	pause = p.one()
	p.takes(ok(pause))
	require.True(t, w.Paused(), "nobody waits, but so it is")
	_, resumed := p.begins(w.Resume)
	p.Unfollow(w)
	require.ErrorIs(t, (<-resumed).err, ErrClosed)
	p.says()

	_, _ = p.opens(w)
	require.False(t, w.Paused())
	_, paused = p.begins(w.pause)
	p.end(ErrClosed)
	require.ErrorIs(t, (<-paused).err, ErrClosed, "it is of this connection")
	require.ErrorIs(t, w.Pause(t.Context()), ErrClosed)
}

// Version 1 has pages only.
func TestWhatVersion1CannotDo(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	for _, want := range []Want{
		{Anchored: true},
		{Choice: protocol.Choice{Sort: []string{"a"}}},
		{Choice: protocol.Choice{Search: "a"}},
		{Choice: protocol.Choice{Filter: []protocol.Condition{{Column: "a", Operator: protocol.OpEq, Value: raws("1")[0]}}}},
	} {
		w := watch(ListOptions{Want: want})
		require.ErrorIs(t, p.Follow(w), ErrVersion)
		require.NoError(t, newV2(t, nil).Follow(w), "it is not followed")
	}
	require.ErrorIs(t, p.Follow(NewRemoteVar("v", &VarOptions{Params: []protocol.Condition{
		{Column: "a", Operator: protocol.OpEq, Value: raws("1")[0]},
	}})), ErrVersion)
	require.Empty(t, p.says())

	w := watch(ListOptions{})
	require.NoError(t, p.Follow(w))
	p.says()
	_, err := w.Choose(t.Context(), Want{Choice: protocol.Choice{Search: "a"}})
	require.ErrorIs(t, err, ErrVersion)
	require.ErrorIs(t, w.Pause(t.Context()), ErrVersion)
	_, err = w.Resume(t.Context())
	require.ErrorIs(t, err, ErrVersion)
	require.Empty(t, p.says())
	_, err = w.Grow(dead(t), 7)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{`{"func":"get","type":"list","name":"l","page":0,"page_size":7}`}, p.says())
}

// A list goes from one version to the other and back.
func TestVersionsChange(t *testing.T) {
	t.Parallel()
	first, second, third := newV2(t, &Config{Resume: true}), newOffline(t, &Config{Resume: true}), newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, get := first.opens(w)
	first.takes(firstPage(get, "1.1", 2, "[1,2]"))
	first.end(ErrClosed)

	require.NoError(t, second.Follow(w))
	require.False(t, w.Snapshot().Held)
	require.Equal(t, []string{subscribeList, getPage(0)}, second.says())
	second.takes(`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":1,"items":[3]}`)
	second.end(ErrClosed)

	_, again := third.opens(w)
	require.Empty(t, again.Rev)
	require.True(t, w.Snapshot().Held)
}
