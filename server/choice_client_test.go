package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// received is a message of version 2 to a subscriber, with every field that the protocol has and no other.
type received struct {
	Func      string            `json:"func"`
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	View      string            `json:"view"`
	ID        string            `json:"id"`
	Rev       string            `json:"rev"`
	After     json.RawMessage   `json:"after"` // nil if absent
	Page      *int              `json:"page"`
	PageSize  *int              `json:"page_size"`
	Total     *int              `json:"total_item_count"`
	Key       []string          `json:"key"`
	Items     []json.RawMessage `json:"items"`
	Changes   []edit            `json:"changes"`
	Pending   *int              `json:"pending"`
	ExpiresIn *int              `json:"expires_in"`
	ErrorCode int               `json:"error_code"`
	Message   string            `json:"message"`
}

// edit is one change of a step.
type edit struct {
	Func  string          `json:"func"`
	Total *int            `json:"total_item_count"`
	Index *int            `json:"index"`
	Value json.RawMessage `json:"value"`
}

func (e edit) String() string {
	switch {
	case e.Func == "set_count" && e.Total != nil:
		return fmt.Sprintf("set_count %d", *e.Total)
	case e.Func == "delete" && e.Index != nil:
		return fmt.Sprintf("delete %d", *e.Index)
	case e.Index != nil:
		return fmt.Sprintf("%s %d %s", e.Func, *e.Index, e.Value)
	}
	return fmt.Sprintf("%+v", struct{ edit }{e})
}

// where is a window's place on its list.
type where struct {
	anchored bool
	page     int
	after    string // the anchor that the client was told of
	size     int    // as in force
}

func (w where) String() string {
	if w.anchored {
		return fmt.Sprintf("%d after %s", w.size, w.after)
	}
	return fmt.Sprintf("page %d of %d", w.page, w.size)
}

// cut returns the items of a window out of the whole list.
func (w where) cut(list []listed) ([]listed, error) {
	if !w.anchored {
		from := min(w.page*w.size, len(list))
		return list[from:min(from+w.size, len(list))], nil
	}
	rest, ok := behind(list, w.after)
	if !ok {
		return nil, fmt.Errorf("the anchor %s is no row of the list", w.after)
	}
	return rest[:min(w.size, len(rest))], nil
}

// shown is a window as the client holds it. It is not changed once it is made.
type shown struct {
	choice   *choice
	where    where
	original string // the anchor that was asked for
	era      int    // how often the identity had changed when it was asked for
	sequence uint64
	rev      string
	total    int
	items    []string
}

// ask is a get.
type ask struct {
	id     string
	choice *choice
	where  where
	rev    string
	grows  bool   // it differs from the window only in a greater size: a step must answer it
	bad    string // what the refusal must name; "" if the get is a good one
	known  int    // the number of drains when it was sent
	era    int    // how often the identity had changed
}

// stillness says whether a window is paused.
type stillness int

const (
	running stillness = iota
	pausing           // asked for
	paused
	unsure // a get, which ends the pause, is under way or was refused
)

// sight is what a client saw: a window, and what led to it.
type sight struct {
	pane   *pane
	before *shown // nil if it held nothing
	now    *shown
	ask    *ask   // that it answers, if any
	by     string // step or set_all
	edits  []edit
	fresh  bool // the window is not the one before: the answer to a get is a set_all
	id     string
	bytes  int    // of the message
	known  int    // the number of drains when it came
	may    []*who // whose line it may be
	// changes is how often the identity began and ended to change since the window was seen the last time.
	changes int
	log     string
}

// refusal is a get that was answered by an error.
type refusal struct {
	pane  *pane
	ask   ask
	known int
	text  string
	log   string
	may   []*who // whose line it may be
	moved bool   // the identity has changed since the get was sent
}

// pane is one view of a line. The line's mu guards it.
type pane struct {
	line *line
	menu *menu
	view string

	asks     []ask
	shown    *shown
	live     bool // the server has a window for it
	dropping int  // unsubscriptions that are not confirmed yet
	state    stillness
	resume   string // the id of the resume that is not answered
	pending  int    // while it is paused
	total    int    // while it is paused
	still    bool   // the server said that it stands still
	ended    bool   // the server has ended the subscription, or refused it
	seen     int    // how often the identity had changed when the window was seen the last time
	log      []string
}

// line is a connection of version 2 that applies what it receives strictly. It knows nothing of the engine.
type line struct {
	t      testing.TB
	url    string
	ledger *ledger

	conn *websocket.Conn
	done chan struct{}

	mu       sync.Mutex // guards all below, and the panes
	panes    []*pane
	last     int               // number of the last id
	oks      map[string]func() // what an ok confirms, by id
	sights   []sight
	refusals []refusal
	bad      error
	closing  bool
	wake     chan struct{} // closed and replaced at every message
	tally    map[string]int
	guest    *guest // whose identity changes; nil if there is none
}

// whose returns whose line it is, or may be.
func (l *line) whose() []*who {
	if l.guest == nil {
		return nil
	}
	return slices.Clone(l.guest.may)
}

// own is a choice of the one whose line it is now.
func (l *line) own(c *choice) *choice {
	if l.guest == nil {
		return c
	}
	return c.as(l.guest.is())
}

func newLine(t testing.TB, url string, ledger *ledger) *line {
	l := &line{t: t, url: url, ledger: ledger, wake: make(chan struct{}), tally: map[string]int{}}
	l.dial()
	t.Cleanup(l.hangUp)
	return l
}

func (l *line) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, l.url, &websocket.DialOptions{Subprotocols: []string{"socksync.v2", "socksync.v1"}})
	require.NoError(l.t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	require.Equal(l.t, "socksync.v2", conn.Subprotocol())
	conn.SetReadLimit(1 << 26)
	l.conn, l.done, l.oks, l.closing = conn, make(chan struct{}), map[string]func(){}, false
	go l.read(conn, l.done)
}

// hangUp ends the connection without a word.
func (l *line) hangUp() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	_ = l.conn.CloseNow()
	<-l.done
}

func (l *line) read(conn *websocket.Conn, done chan struct{}) {
	defer close(done)
	for {
		_, data, err := conn.Read(context.Background())
		l.mu.Lock()
		if err != nil && l.closing {
			l.mu.Unlock()
			return
		}
		if err == nil {
			err = l.take(data)
		}
		if err != nil && l.bad == nil {
			l.bad = err
		}
		close(l.wake)
		l.wake = make(chan struct{})
		bad := l.bad
		l.mu.Unlock()
		if bad != nil {
			return
		}
	}
}

// until waits until the condition holds, with the line locked.
func (l *line) until(what func() string, condition func() bool) {
	l.t.Helper()
	limit := time.NewTimer(longPatience)
	defer limit.Stop()
	for {
		l.mu.Lock()
		ok, wake, bad := condition(), l.wake, l.bad
		said := ""
		if bad == nil && !ok {
			said = what()
		}
		l.mu.Unlock()
		require.NoError(l.t, bad)
		if ok {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			require.FailNow(l.t, "did not come: "+said)
		}
	}
}

// send sends what prepare returns, which is called with the line locked.
func (l *line) send(p *pane, prepare func(id string) string) {
	l.t.Helper()
	l.mu.Lock()
	l.last++
	text := prepare("i" + strconv.Itoa(l.last))
	if p != nil {
		p.note("> " + text)
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	if err := l.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		<-l.done // why it has ended
		l.mu.Lock()
		defer l.mu.Unlock()
		require.NoError(l.t, errors.Join(l.bad, err))
	}
}

// longPatience is patience on a machine that does much else; it is never waited out either.
const longPatience = time.Minute

// logged is how many messages of a pane are kept for a failure.
const logged = 60

func (p *pane) note(text string) {
	if len(p.log) == logged {
		p.log = p.log[1:]
	}
	p.log = append(p.log, text)
}

func (p *pane) failed(format string, args ...any) error {
	return fmt.Errorf("view %q of %s: %s\nthe last messages:\n%s", p.view, p.menu.name, fmt.Sprintf(format, args...), strings.Join(p.log, "\n"))
}

// take takes one message.
func (l *line) take(data []byte) error {
	var f received
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return fmt.Errorf("%w: %s", err, data)
	}
	if err := inOrder(data); err != nil {
		return err
	}
	if f.Func == "ok" {
		return l.confirmed(f, data)
	}
	if l.guest != nil {
		if done, err := l.guest.hear(f, data); done || err != nil {
			return err
		}
	}
	i := slices.IndexFunc(l.panes, func(p *pane) bool { return p.menu.name == f.Name && p.view == f.View && f.Type == "list" })
	if i < 0 {
		return fmt.Errorf("about no view of this connection: %s", data)
	}
	p := l.panes[i]
	p.note("< " + string(data))
	seen := len(l.sights)
	if err := p.take(f); err != nil {
		return p.failed("%v", err)
	}
	if len(l.sights) > seen {
		l.sights[seen].bytes = len(data)
	}
	return nil
}

// inOrder checks that view and id come before rev: what follows is shared.
func inOrder(data []byte) error {
	before, after, found := bytes.Cut(data, []byte(`,"rev":`))
	head := []string{"view", "id"}
	for _, name := range head {
		field := []byte(`,"` + name + `":`)
		if found && !bytes.Contains(before, field) && bytes.HasPrefix(after[bytes.IndexByte(after, ',')+1:], field[1:]) {
			return fmt.Errorf("%s comes after rev: %s", name, data)
		}
	}
	return nil
}

func (l *line) confirmed(f received, data []byte) error {
	if (f.ExpiresIn != nil) != (l.guest != nil && l.guest.tokens[f.ID] != nil && !l.guest.tokens[f.ID].ends.IsZero()) {
		return fmt.Errorf("expires_in: %s", data)
	}
	done, ok := l.oks[f.ID]
	if !ok {
		return fmt.Errorf("nobody waits for %s", data)
	}
	delete(l.oks, f.ID)
	done()
	return nil
}

// take takes a message of the view. What crossed an unsubscription is dropped.
func (p *pane) take(f received) error {
	if p.dropping > 0 {
		return nil
	}
	switch f.Func {
	case "set_all":
		return p.setAll(f)
	case "step":
		return p.step(f)
	case "set_pending":
		return p.setPending(f)
	case "error":
		return p.refuse(f)
	}
	return errors.New("no such message to a subscriber")
}

// answered takes the get off the queue that the message answers, if it answers one.
func (p *pane) answered(f received) (*ask, error) {
	if f.ID == "" {
		return nil, nil //nolint:nilnil // none
	}
	if len(p.asks) == 0 || p.asks[0].id != f.ID {
		return nil, fmt.Errorf("the id is not that of the first unanswered get")
	}
	a := p.asks[0]
	p.asks = p.asks[1:]
	if a.bad != "" {
		return nil, fmt.Errorf("a get that must be refused is answered: %s", a.bad)
	}
	p.state = running
	return &a, nil
}

// moved says that a window moves, which it may only if it is not paused.
func (p *pane) moved(a *ask) error {
	if !p.live && a == nil {
		return errors.New("there is no window yet")
	}
	if p.state == paused && a == nil {
		return errors.New("the window is paused")
	}
	p.still = false
	return nil
}

func (p *pane) setAll(f received) error {
	a, err := p.answered(f)
	if err != nil {
		return err
	}
	if err := p.moved(a); err != nil {
		return err
	}
	now, err := p.replaced(f, a)
	if err != nil {
		return err
	}
	if a != nil && a.grows && !p.line.changed(a) && !p.stale() {
		return errors.New("a window that only grows gets a step")
	}
	if !slices.Equal(f.Key, p.menu.keyJSON) {
		return fmt.Errorf("the key is %v", f.Key)
	}
	for _, item := range f.Items {
		now.items = append(now.items, string(item))
	}
	p.see(sight{before: p.shown, now: now, ask: a, by: "set_all", fresh: a != nil, id: f.ID})
	return nil
}

// replaced is the window of a set_all, without its items.
func (p *pane) replaced(f received, a *ask) (*shown, error) {
	if f.PageSize == nil || f.Total == nil || f.Items == nil || (f.Page == nil) == (f.After == nil) {
		return nil, errors.New("a field is missing, or both page and after are there")
	}
	now := &shown{rev: f.Rev, total: *f.Total}
	want := where{size: *f.PageSize, anchored: f.Page == nil}
	if want.anchored {
		want.after = canonical(f.After)
	} else {
		want.page = *f.Page
	}
	now.where = want
	var asked where
	if a != nil {
		asked, now.choice, now.original, now.era = a.where, p.line.own(a.choice), a.where.after, a.era
	} else {
		asked, now.choice, now.original, now.era = p.shown.where, p.line.own(p.shown.choice), p.shown.original, p.shown.era
	}
	asked.after = want.after // which is looked at later
	if asked != want {
		return nil, fmt.Errorf("the window is %s instead of %s", want, asked)
	}
	return now, p.revised(now)
}

var revision = regexp.MustCompile(`^(\d+)\.(\d+)$`)

// revised reads the rev.
func (p *pane) revised(now *shown) error {
	parts := revision.FindStringSubmatch(now.rev)
	if parts == nil {
		return fmt.Errorf("rev %q is not EPOCH.SEQUENCE", now.rev)
	}
	var err error
	now.sequence, err = strconv.ParseUint(parts[2], 10, 64)
	if p.line.guest != nil { // each identity has an epoch of its own
		return err
	}
	return errors.Join(err, p.line.ledger.checkEpoch(parts[1]))
}

// checkEpoch checks that the epoch is always the same.
func (l *ledger) checkEpoch(epoch string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch == "" {
		l.epoch = epoch
	}
	if l.epoch != epoch {
		return fmt.Errorf("a new epoch %s, it was %s", epoch, l.epoch)
	}
	return nil
}

func (p *pane) step(f received) error {
	var a *ask
	if f.ID != "" && f.ID == p.resume {
		p.resume, p.state = "", running
	} else {
		var err error
		if a, err = p.answered(f); err != nil {
			return err
		}
	}
	if err := p.moved(a); err != nil {
		return err
	}
	now, err := p.stepped(f, a)
	if err != nil {
		return err
	}
	p.see(sight{before: p.shown, now: now, ask: a, by: "step", edits: f.Changes, id: f.ID})
	return nil
}

// stepped is the window after a step.
func (p *pane) stepped(f received, a *ask) (*shown, error) {
	if p.shown == nil {
		return nil, errors.New("a step for one who holds nothing")
	}
	if f.Changes == nil {
		return nil, errors.New("a step without changes")
	}
	now := *p.shown
	now.rev, now.items, now.choice = f.Rev, slices.Clone(p.shown.items), p.line.own(p.shown.choice)
	if a != nil {
		if a.rev == "" && !p.shown.grows(a) && !p.line.changed(a) && !p.stale() {
			return nil, errors.New("a step answers a get for another window")
		}
		now.choice, now.original, now.era = p.line.own(a.choice), a.where.after, a.era
		after := now.where.after
		now.where = a.where
		now.where.after = after
	}
	if f.After != nil {
		if after := canonical(f.After); !now.where.anchored || after == now.where.after {
			return nil, errors.New("after, which is what it was")
		}
		now.where.after = canonical(f.After)
	}
	if err := now.apply(f.Changes, p.shown.where.size); err != nil {
		return nil, err
	}
	return &now, p.revised(&now)
}

// grows reports whether a get is for what the window is, and no smaller.
func (s *shown) grows(a *ask) bool {
	w := a.where
	same := s.choice.fields == a.choice.fields || s.choice.who != nil && s.choice.first().query("") == a.choice.first().query("")
	return same && s.where.anchored == w.anchored && s.where.page == w.page && s.where.size <= w.size &&
		(s.original == w.after || s.where.after == w.after)
}

// apply applies the changes of a step, or says what is wrong with them.
func (s *shown) apply(edits []edit, sizeBefore int) error {
	for i, e := range edits {
		if e.Func == "set_count" {
			if i > 0 || e.Total == nil || *e.Total == s.total {
				return fmt.Errorf("change %d: set_count is not first, or the total is as it was", i)
			}
			s.total = *e.Total
			continue
		}
		if err := s.edit(e); err != nil {
			return fmt.Errorf("change %d: %w", i, err)
		}
		if len(s.items) > max(s.where.size, sizeBefore) {
			return fmt.Errorf("change %d: %d items in a window of %d", i, len(s.items), s.where.size)
		}
	}
	if len(s.items) > s.where.size {
		return fmt.Errorf("%d items in a window of %d", len(s.items), s.where.size)
	}
	return nil
}

func (s *shown) edit(e edit) error {
	if e.Index == nil || (e.Value == nil) != (e.Func == "delete") {
		return errors.New("a field is missing or too many")
	}
	i, n := *e.Index, len(s.items)
	switch {
	case e.Func == "insert" && i >= 0 && i <= n:
		s.items = slices.Insert(s.items, i, string(e.Value))
	case e.Func == "set" && i >= 0 && i < n:
		s.items[i] = string(e.Value)
	case e.Func == "delete" && i >= 0 && i < n:
		s.items = slices.Delete(s.items, i, i+1)
	default:
		return fmt.Errorf("%s at %d of %d items", e.Func, i, n)
	}
	return nil
}

// see keeps what is held now, to be compared with what the database held then.
func (p *pane) see(s sight) {
	s.pane, s.known, s.log = p, p.line.ledger.last(), strings.Join(p.log, "\n")
	if p.line.guest != nil {
		s.may, s.changes = p.line.whose(), p.line.guest.era-p.seen
		if s.before == nil || s.ask != nil || s.before.rev != s.now.rev { // otherwise it may be what was there before
			p.seen = p.line.guest.era
		}
	}
	p.shown, p.live = s.now, true
	p.line.sights = append(p.line.sights, s)
	p.line.count(s)
}

func (l *line) count(s sight) {
	l.tally[s.by]++
	switch {
	case s.ask == nil:
	case s.ask.grows:
		l.tally["grown"]++
	case s.ask.rev != "":
		l.tally[s.by+" for a rev"]++
	}
	if !s.fresh && s.before.where.after != s.now.where.after {
		l.tally["anchor moved"]++
	}
}

func (p *pane) setPending(f received) error {
	if f.ID != "" || f.Total == nil || f.Pending == nil {
		return errors.New("set_pending has other fields")
	}
	if !p.live || p.state == running {
		return errors.New("the window is not paused")
	}
	p.total, p.pending = *f.Total, *f.Pending
	p.line.tally["set_pending"]++
	return nil
}

// refuse takes an error.
func (p *pane) refuse(f received) error {
	if f.ErrorCode != 8 || f.Message == "" {
		return errors.New("not the code 8")
	}
	if f.ID == "" {
		if !p.live {
			return errors.New("there is no window yet")
		}
		p.still = true
		p.line.tally["stood still"]++
		return nil
	}
	if p.line.guest != nil && f.ID == p.resume && strings.Contains(f.Message, "superseded") {
		p.resume, p.state = "", unsure // by a change of the identity
		return nil
	}
	if len(p.asks) == 0 || p.asks[0].id != f.ID {
		return errors.New("the id is not that of the first unanswered get")
	}
	a := p.asks[0]
	p.asks = p.asks[1:]
	p.line.refusals = append(p.line.refusals, refusal{p, a, p.line.ledger.last(), f.Message, strings.Join(p.log, "\n"), p.line.whose(), p.line.changed(&a)})
	if strings.Contains(f.Message, "superseded") && len(p.asks) == 0 && !p.line.changed(&a) {
		return errors.New("by which get is it superseded?")
	}
	if !p.live {
		p.shown = nil // what it holds is good for nothing
	}
	return nil
}
