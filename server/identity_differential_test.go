package server_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

var kindsFlag = flag.String("lists", strings.Join(kindsOfLists, ","), "kinds of lists of the differential test of identities")

// TestIdentityDifferential is TestChoiceDifferential with identities: what a list shows depends on whose connection it is.
// Rows pass from one owner to another, rows that are joined change, connections get other identities, by token and by the
// server's own will, and credentials end. Each state that a version 2 client shows is held against what SQL said in the
// drain that it stands for, with the values of the identity that the connection had; at rest, every window is held against
// what SQL says then.
func TestIdentityDifferential(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]pgtest.Option{
		"C.UTF-8":   nil,
		"ICU en-US": {pgtest.ICU("en-US")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, strings.Split(*kindsFlag, ","), options...)
			for range *roundsFlag {
				c.round()
			}
			c.coverage()
		})
	}
}

// crowd is one run.
type crowd struct {
	t       *testing.T
	pool    *pgxpool.Pool
	random  *rand.Rand
	ledger  *ledger
	menus   []*menu
	choices map[*menu][]*choice // those that are in use
	people  []*who
	desk    *desk
	address string
	lines   []*line
	numbers map[*line]string // by which the server knows them
	elders  []*elder         // of version 1
	hot     []int            // documents that anchors are at
	tally   map[string]int
}

func newCrowd(t *testing.T, kinds []string, options ...pgtest.Option) *crowd {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: go test ./server -run '%s' -seed %d -rounds %d -lists %s", t.Name(), seed, *roundsFlag, strings.Join(kinds, ","))
	c := &crowd{
		t: t, pool: pgtest.New(t, append(options, pgtest.MaxConns(8))...), random: rand.New(rand.NewPCG(seed, 6)),
		menus: guestMenus(kinds), choices: map[*menu][]*choice{}, numbers: map[*line]string{}, tally: map[string]int{}, desk: newDesk(),
	}
	_, err := c.pool.Exec(context.Background(), docsTables+docReader)
	require.NoError(t, err)
	for range 90 {
		c.write(c.pool)
	}
	for i := range 12 {
		w := drawWho(c.random, "who "+strconv.Itoa(i), c.menus)
		c.people, c.desk.tokens[w.name] = append(c.people, w), w
	}
	c.ledger = newLedger(t, c.pool, "docs", "countries", "airports", "flights", "bookings")
	c.serve()
	for _, m := range c.menus {
		for range 5 {
			c.choices[m] = append(c.choices[m], drawChoice(c.random, m))
		}
	}
	for range 6 {
		c.connect()
	}
	for i := range 2 * len(c.menus) {
		c.elders = append(c.elders, c.elder(c.menus[i%len(c.menus)]))
	}
	return c
}

func (c *crowd) serve() {
	settings := c.pool.Config()
	settings.MaxConns = 8
	served, err := pgxpool.NewWithConfig(context.Background(), settings)
	require.NoError(c.t, err)
	c.t.Cleanup(served.Close)
	var defs []binding.Definition
	for _, m := range c.menus {
		defs = append(defs, m.def)
	}
	config := &server.Config{Migrate: true, Grace: time.Second, ExpiryGrace: time.Hour, Log: quietLog}
	c.desk.employ(config)
	live := newServer(c.t, served, config, defs...)
	server.SetDrainHook(live, c.ledger.inspect)
	c.address = mount(c.t, live)
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	require.NoError(c.t, live.Start(ctx))
}

// desk is where the server finds out whose a connection is, and the test the server's end of a connection.
type desk struct {
	tokens map[string]*who // never changed while the server runs

	mu    sync.Mutex
	last  int
	conns map[string]*server.Conn // by the number in the request
	wake  chan struct{}           // closed and replaced at every connection
}

func newDesk() *desk {
	return &desk{tokens: map[string]*who{}, conns: map[string]*server.Conn{}, wake: make(chan struct{})}
}

var errNoSuchToken = errors.New("no such token")

// employ has a server ask the desk.
func (d *desk) employ(config *server.Config) {
	config.Authenticate = func(r *http.Request) (server.Identity, error) { return d.identity(r.URL.Query().Get("token")) }
	config.AuthenticateToken = func(_ context.Context, _ *server.Conn, token string) (server.Identity, error) {
		return d.identity(token)
	}
	config.Authorize = func(_ context.Context, identity server.Identity, item server.Item) error {
		if w, ok := identity.(*who); !ok || w.refused[item.Name] {
			return server.ErrForbidden
		}
		return nil
	}
	config.OnConnect = func(_ context.Context, conn *server.Conn) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.conns[conn.Request().URL.Query().Get("number")] = conn
		close(d.wake)
		d.wake = make(chan struct{})
	}
}

func (d *desk) identity(token string) (server.Identity, error) {
	if w, ok := d.tokens[token]; ok {
		return w, nil
	}
	return nil, errNoSuchToken
}

// ticket is what a request says: whose it is, and a number.
func (d *desk) ticket(w *who) (query, number string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	number = strconv.Itoa(d.last)
	return "?token=" + strings.ReplaceAll(w.name, " ", "%20") + "&number=" + number, number
}

// conn returns the server's end of a connection.
func (d *desk) conn(t testing.TB, number string) *server.Conn {
	t.Helper()
	for {
		d.mu.Lock()
		conn, wake := d.conns[number], d.wake
		d.mu.Unlock()
		if conn != nil {
			return conn
		}
		await(t, wake, "the server's end of a connection")
	}
}

// become gives a connection another identity.
func (d *desk) become(t testing.TB, number string, w *who) {
	t.Helper()
	require.NoError(t, d.conn(t, number).SetIdentity(w))
}

func (c *crowd) anyone() *who { return c.people[c.random.IntN(len(c.people))] }

// connect opens a connection of version 2 with a few views.
func (c *crowd) connect() {
	l := &line{t: c.t, ledger: c.ledger, wake: make(chan struct{}), tally: map[string]int{}}
	l.guest = &guest{line: l}
	c.call(l)
	c.t.Cleanup(l.hangUp)
	for i := range 5 {
		m := c.menus[(5*len(c.lines)+i)%len(c.menus)]
		p := l.open(m)
		p.move(c.random, c.choice(m))
	}
	c.lines = append(c.lines, l)
}

// call dials as anyone.
func (c *crowd) call(l *line) {
	w := c.anyone()
	query, number := c.desk.ticket(w)
	l.url, c.numbers[l] = c.address+query, number
	l.guest.begin(w)
	l.dial()
}

// choice returns one of those in use, which now and then is a new one.
func (c *crowd) choice(m *menu) *choice {
	all := c.choices[m]
	i := c.random.IntN(len(all))
	if c.random.IntN(4) == 0 {
		all[i] = drawChoice(c.random, m)
	}
	return all[i]
}

// round runs transactions, two writers at once, while the subscribers do this and that, and then compares.
func (c *crowd) round() {
	var wg sync.WaitGroup
	for range 2 {
		w := &crowd{t: c.t, pool: c.pool, random: rand.New(rand.NewPCG(c.random.Uint64(), 7)), hot: c.hot}
		wg.Go(func() {
			for range 4 + w.random.IntN(12) {
				w.transaction()
			}
		})
	}
	for range 50 {
		c.act(c.lines[c.random.IntN(len(c.lines))])
	}
	for range c.random.IntN(4) {
		c.turn(c.elders[c.random.IntN(len(c.elders))])
	}
	wg.Wait()
	c.compareAll()
}

// act has a client do something, or the server with it.
func (c *crowd) act(l *line) {
	p := l.panes[c.random.IntN(len(l.panes))]
	if c.random.IntN(4) == 0 {
		c.identify(l)
		return
	}
	if p.is(func() bool { return p.ended }) {
		p.resubscribe()
		c.comeBack(p)
		return
	}
	switch c.random.IntN(16) {
	case 0, 1, 2, 3:
		p.move(c.random, c.choice(p.menu))
	case 4, 5, 6:
		p.grow(c.random)
	case 7, 8:
		p.regain()
	case 9, 10, 11:
		p.hold()
	case 12:
		for range 2 + c.random.IntN(4) {
			p.move(c.random, c.choice(p.menu))
		}
	case 13:
		p.leave()
		c.comeBack(p)
	case 14:
		if c.random.IntN(2) == 0 {
			l.leaveAll()
			c.comeBackAll(l)
		}
	case 15:
		c.redial(l)
	}
}

// is asks something about a pane.
func (p *pane) is(what func() bool) bool {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	return what()
}

// redial loses the connection and makes a new one, of anyone.
func (c *crowd) redial(l *line) {
	l.hangUp()
	l.mu.Lock()
	for _, p := range l.panes {
		p.drop()
		p.dropping, p.ended = 0, false
	}
	l.mu.Unlock()
	c.call(l)
	for _, p := range l.panes {
		p.subscribe()
	}
	c.comeBackAll(l)
}

func (c *crowd) comeBackAll(l *line) {
	for _, p := range l.panes {
		c.comeBack(p)
	}
}

// comeBack asks for what was held, with its rev, or if it held nothing for something else.
func (c *crowd) comeBack(p *pane) {
	if p.is(func() bool { return p.ended }) {
		return
	}
	if p.is(func() bool { return p.shown != nil }) && c.random.IntN(6) > 0 {
		p.regain()
		return
	}
	p.move(c.random, c.choice(p.menu))
}

// identify changes the identity of a line, or tries to.
func (c *crowd) identify(l *line) {
	g, w := l.guest, c.anyone()
	switch c.random.IntN(8) {
	case 0, 1, 2:
		g.becoming(w)
		c.desk.become(c.t, c.numbers[l], w)
		g.settled()
	case 3, 4, 5:
		g.token(w.name, w)
		if c.random.IntN(2) == 0 {
			g.mark()
		}
	case 6:
		g.token("not "+w.name, nil)
	case 7:
		c.expire(l, w)
	}
	l.until(func() string { return "the answers to tokens" }, func() bool { return len(g.tokens) == 0 })
}

// expire has the credentials of a line end. It is renewed by a token, or by the server.
func (c *crowd) expire(l *line, w *who) {
	g := l.guest
	if c.random.IntN(3) == 0 {
		g.becoming(l.guest.is().ended(w), w)
		c.desk.become(c.t, c.numbers[l], l.guest.may[len(l.guest.may)-2])
		c.renewed(l, w)
		g.settled()
		return
	}
	over := g.is().ended(nil)
	g.becoming(over)
	c.desk.become(c.t, c.numbers[l], over)
	g.lapse()
	for range c.random.IntN(5) {
		p := l.panes[c.random.IntN(len(l.panes))]
		switch {
		case p.is(func() bool { return p.ended }):
			p.resubscribe()
		case c.random.IntN(3) == 0:
			p.hold()
		default:
			p.move(c.random, c.choice(p.menu))
		}
	}
	g.mark() // all of that is refused
	g.token(w.name, w)
}

// renewed waits until the server has renewed an identity by itself.
func (c *crowd) renewed(l *line, w *who) {
	conn := c.desk.conn(c.t, c.numbers[l])
	eventually(c.t, "the identity is renewed", func() bool { return conn.Identity() == server.Identity(w) })
}

// compareAll waits until each window shows what the database has, and then looks at all that was shown on the way.
func (c *crowd) compareAll() {
	c.t.Helper()
	for _, l := range c.lines {
		l.guest.mark()
		for _, p := range l.panes {
			c.settle(p)
		}
	}
	c.ledger.forget()
	c.awaitLastDrain()
	for _, l := range c.lines {
		for _, p := range l.panes {
			c.compare(p)
		}
	}
	for _, e := range c.elders {
		c.meet(e)
	}
	c.reheat()
	c.review()
}

// settle waits until everything that the pane asked is answered, and sees to it that it has a window, if it may.
func (c *crowd) settle(p *pane) {
	for {
		p.line.until(func() string {
			return p.failed("%d ok, to be ended or not for %s", len(p.line.oks), p.line.guest.is()).Error()
		}, func() bool {
			return len(p.line.oks) == 0 && (p.ended || p.line.guest.is().mayUse(p.menu))
		})
		if p.is(func() bool { return p.ended && !p.line.guest.is().mayUse(p.menu) }) {
			return
		}
		if p.is(func() bool { return p.ended }) {
			p.resubscribe()
			continue
		}
		live, state := p.settle()
		switch {
		case !live:
			p.get(func() *ask {
				return &ask{choice: c.choice(p.menu), where: where{anchored: true, after: start, size: 9}}
			})
		case state == unsure || state == running && c.random.IntN(10) == 0: // also what is not paused
			p.goOn()
		default:
			return
		}
	}
}

// awaitLastDrain waits for the drain that saw the database as it is now.
func (c *crowd) awaitLastDrain() {
	for _, table := range c.tables() {
		now, _, err := copyOf(context.Background(), c.pool, table)
		require.NoError(c.t, err)
		c.ledger.await(func() bool {
			all := c.ledger.sequences(table, 0, c.ledger.last())
			if len(all) == 0 {
				return false
			}
			rows, _ := c.ledger.copyAt(table, all[len(all)-1])
			return rows == now
		})
	}
}

// tables are those that the lists read: only their changes are drained.
func (c *crowd) tables() (all []string) {
	for _, m := range c.menus {
		all = append(all, m.tables()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// compare waits until a window shows what the database has for its identity.
func (c *crowd) compare(p *pane) {
	c.t.Helper()
	p.line.mu.Lock()
	held, ended, w := p.shown, p.ended, p.line.guest.is()
	p.line.mu.Unlock()
	if ended {
		require.False(c.t, w.mayUse(p.menu), "%s of %s", p.menu.name, w)
		return
	}
	mine := held.choice.as(w)
	now, err := c.ledger.now(mine)
	require.NoError(c.t, err)
	p.line.until(func() string { return w.String() + "\n" + mine.query("") + describe(p, now, nil) }, func() bool { return restsFor(p, now) })
}

// restsFor reports whether the pane shows what the database has; the line is locked. Where it is paused at an anchor that
// may have moved unseen, the number of pending items is not known.
func restsFor(p *pane, now []listed) bool {
	want, err := p.shown.where.cut(now)
	if p.state == paused {
		return p.total == len(now) && (p.shown.where.anchored || p.pending == pendingOf(p.shown, want))
	}
	return err == nil && !p.still && p.shown.total == len(now) && slices.Equal(p.shown.items, jsons(want))
}

// review holds everything that was shown since the last time against what the database held then.
func (c *crowd) review() {
	c.t.Helper()
	for _, l := range c.lines {
		l.mu.Lock()
		sights, refusals := l.sights, l.refusals
		l.sights, l.refusals = nil, nil
		for what, n := range l.tally {
			c.tally[what] += n
		}
		clear(l.tally)
		l.mu.Unlock()
		for i := range sights {
			if s := &sights[i]; !s.pane.menu.loose {
				require.NoError(c.t, c.checkSight(s), "%s of %s, %s, at %s\nof %v, before of %v\nthe messages up to this one:\n%s",
					s.by, s.now.choice, s.now.where, s.now.rev, s.may, before(s), s.log)
			}
		}
		for i := range refusals {
			kind, err := c.checkRefusal(&refusals[i])
			require.NoError(c.t, err, "%+v\n%s", refusals[i].ask, refusals[i].log)
			c.tally[kind]++
		}
	}
	c.ledger.forget()
}

func before(s *sight) *who {
	if s.before == nil {
		return nil
	}
	return s.before.choice.who
}

// checkSight finds the identity that what was shown is of, among those that the line may have had.
func (c *crowd) checkSight(s *sight) (err error) {
	if s.by == "step" && s.before.rev == s.now.rev && len(s.edits) == 0 { // says nothing: it is still what it was
		s.pane.line.mu.Lock()
		defer s.pane.line.mu.Unlock()
		s.now.choice = s.before.choice
		return nil
	}
	if s.by == "step" && len(s.edits) == 0 { // nothing is said, by the name that it had for somebody whom the line was before
		s.may = append(slices.Clone(c.people), s.may...)
	}
	for _, w := range slices.Backward(s.may) {
		if !w.mayUse(s.pane.menu) {
			continue
		}
		now, tried := *s.now, *s
		now.choice = s.now.choice.as(w)
		tried.now = &now
		problem := c.ledger.check(&tried)
		if problem == nil {
			s.pane.line.mu.Lock()
			s.now.choice = now.choice // of which the next one knows
			s.pane.line.mu.Unlock()
			return nil
		}
		err = errors.Join(err, fmt.Errorf("%s: %w", w, problem))
	}
	if err == nil {
		err = errors.New("nobody may use it")
	}
	return err
}

// checkRefusal is that of the ledger, for each identity that the line may have had.
func (c *crowd) checkRefusal(r *refusal) (kind string, err error) {
	if r.moved { // it may be the answer for somebody whom the line was before
		r.may = append(slices.Clone(c.people), r.may...)
	}
	for _, w := range r.may {
		tried := *r
		tried.ask.choice = r.ask.choice.as(w)
		if kind, err = c.ledger.checkRefusal(&tried); err == nil {
			return kind, nil
		}
	}
	return kind, err
}

// coverage checks that all that can happen has happened.
func (c *crowd) coverage() {
	c.t.Logf("%v", c.tally)
	if *roundsFlag < 12 || len(c.menus) < len(kindsOfLists) {
		return
	}
	kinds := []string{"set_all", "step", "superseded"}
	if *roundsFlag >= 100 { // a few rounds may do without these
		kinds = append(kinds, "step for a rev", "set_pending", "expired", "grown", "anchor moved", "no such row", "ended", "not allowed to subscribe")
	}
	for _, kind := range kinds {
		require.Positive(c.t, c.tally[kind], "never: %s, but %v", kind, slices.Sorted(maps.Keys(c.tally)))
	}
}
