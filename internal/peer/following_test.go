package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// asked is a message of a peer of version 2, read without the help of package
// protocol.
type asked struct {
	Func, Type, Name, View, ID, Rev, Search string

	Page     *int
	PageSize int `json:"page_size"`
	After    json.RawMessage
	Sort     []string
	Filter   json.RawMessage
	Code     protocol.Code `json:"error_code"`
}

// newV2 is a peer of version 2 without a connection.
func newV2(t *testing.T, cfg *Config) *offline {
	t.Helper()
	p := newOffline(t, cfg)
	p.Speak(protocol.V2)
	return p
}

// asks returns everything that is to be written.
func (p *offline) asks() []asked {
	p.t.Helper()
	var all []asked
	for _, message := range p.says() {
		var a asked
		require.NoError(p.t, json.Unmarshal([]byte(message), &a), message)
		all = append(all, a)
	}
	return all
}

// opens follows an item and returns the subscribe and the get that it sends.
func (p *offline) opens(r Remote) (subscribe, get asked) {
	p.t.Helper()
	require.NoError(p.t, p.Follow(r))
	all := p.asks()
	require.Len(p.t, all, 2)
	require.Equal(p.t, "subscribe", all[0].Func)
	require.Equal(p.t, "get", all[1].Func)
	return all[0], all[1]
}

// one returns the only message that is to be written.
func (p *offline) one() asked {
	p.t.Helper()
	all := p.asks()
	require.Len(p.t, all, 1)
	return all[0]
}

// head begins a message about a window, as an answer if there is an id.
func head(f string, to asked, answer bool) string {
	text := fmt.Sprintf(`{"func":%q,"type":%q,"name":%q,"view":%q,`, f, to.Type, to.Name, to.View)
	if answer {
		text += fmt.Sprintf(`"id":%q,`, to.ID)
	}
	return text
}

// firstPage answers with page 0 of two items.
func firstPage(to asked, rev string, total int, items string) string {
	return head("set_all", to, true) + fmt.Sprintf(`"rev":%q,"page":0,"page_size":2,"total_item_count":%d,"items":%s}`, rev, total, items)
}

// rows answers with an anchored window of two items.
func rows(to asked, rev, after, items string) string {
	return head("set_all", to, true) + fmt.Sprintf(
		`"rev":%q,"after":%s,"page_size":2,"total_item_count":9,"key":["id"],"items":%s}`, rev, after, items)
}

// leads is a step, not in answer to anything.
func leads(to asked, rev, changes string) string {
	return head("step", to, false) + fmt.Sprintf(`"rev":%q,"changes":[%s]}`, rev, changes)
}

// leadsAnswer is a step in answer to a request.
func leadsAnswer(to asked, rev, changes string) string {
	return head("step", to, true) + fmt.Sprintf(`"rev":%q,"changes":[%s]}`, rev, changes)
}

func ok(to asked) string { return fmt.Sprintf(`{"func":"ok","id":%q}`, to.ID) }

func refuses(to asked, code protocol.Code, message string) string {
	return head("error", to, true) + fmt.Sprintf(`"error_code":%d,"message":%q}`, code, message)
}

// halts is an error that answers nothing.
func halts(to asked, code protocol.Code) string {
	return head("error", to, false) + fmt.Sprintf(`"error_code":%d,"message":"not now"}`, code)
}

// watched is a list that collects what its application is told.
type watched struct {
	*RemoteList
	seen []string
	errs []error
}

func watch(opts ListOptions) *watched {
	w := new(watched)
	opts.OnChange = func(f protocol.Func, p protocol.Page) {
		w.seen = append(w.seen, fmt.Sprintf("%s %s of %d", f, p.Items, p.Total))
	}
	opts.OnError = func(err error) { w.errs = append(w.errs, err) }
	w.RemoteList = NewRemoteList("l", &opts)
	return w
}

// saw returns what has been seen since.
func (w *watched) saw() []string {
	seen := w.seen
	w.seen = nil
	return seen
}

// codes returns the codes of the errors since.
func (w *watched) codes() []protocol.Code {
	var codes []protocol.Code
	for _, err := range w.errs {
		codes = append(codes, codeOf(err))
	}
	w.errs = nil
	return codes
}

// got is what came of something that waits.
type got struct {
	page protocol.Page
	err  error
}

// begins runs what waits for an answer in a goroutine, and returns the message with which it asks.
func (p *offline) begins(do func(context.Context) (protocol.Page, error)) (asked, <-chan got) {
	p.t.Helper()
	done := make(chan got, 1)
	s := &signal{make(chan struct{}, 1)}
	p.connected(s)
	go func() {
		page, err := do(p.t.Context())
		done <- got{page, err}
	}()
	<-s.flushed
	p.connected(nil)
	return p.one(), done
}

func (p *offline) connected(c Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = c
}

// signal is a connection that says that there is something to write.
type signal struct{ flushed chan struct{} }

func (s *signal) Read() ([]byte, error)   { return nil, errors.New("not read") }
func (s *signal) Flush()                  { notify(s.flushed) }
func (s *signal) Close(int, string) error { return nil }
