package server_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// elder is a subscriber of version 1 whose identity changes: of one page of a list as it is defined.
type elder struct {
	*browser
	menu       *menu
	who        *who
	number     string
	page, size int
	state      pageOf
	ended      bool // the subscription was refused, or has been ended
	refused    bool // a get was
	bad        error
}

func (c *crowd) elder(m *menu) *elder {
	e := &elder{menu: m}
	c.summon(e)
	return e
}

// summon connects the elder as anyone.
func (c *crowd) summon(e *elder) {
	e.who = c.anyone()
	query, number := c.desk.ticket(e.who)
	e.browser, e.number, e.state = dial(c.t, c.address+query), number, pageOf{}
	c.begin(e)
}

func (c *crowd) begin(e *elder) {
	e.mu.Lock()
	e.ended = false
	e.mu.Unlock()
	e.send(`{"func":"subscribe","type":"list","name":%q}`, e.menu.name)
	e.page, e.size = c.random.IntN(3)*c.random.IntN(2), 1+c.random.IntN(e.menu.maxPage)
	e.get()
}

func (e *elder) get() {
	e.mu.Lock()
	e.refused = false
	e.mu.Unlock()
	e.send(`{"func":"get","type":"list","name":%q,"page":%d,"page_size":%d}`, e.menu.name, e.page, e.size)
}

// turn has the elder ask for another page, or be somebody else.
func (c *crowd) turn(e *elder) {
	switch c.random.IntN(4) {
	case 0:
		c.begin(e)
	case 1, 2:
		e.who = c.anyone()
		c.desk.become(c.t, e.number, e.who)
	case 3:
		c.desk.become(c.t, e.number, e.who.ended(nil))
		const closedExpired = 4002
		require.Equal(c.t, closedExpired, e.closedWith())
		c.summon(e)
	}
}

// closedWith waits for the end of the connection and returns its close code.
func (e *elder) closedWith() int {
	<-e.done
	e.mu.Lock()
	defer e.mu.Unlock()
	return int(websocket.CloseStatus(e.closed))
}

// consume applies what has come in. The inbox is locked.
func (e *elder) consume(inbox []message) {
	for _, m := range inbox {
		switch {
		case m.Func == "error" && (m.ErrorCode == 3 || m.ErrorCode == 1):
			e.ended, e.state = true, pageOf{}
		case m.Func == "error" && m.ErrorCode == 8:
			e.refused = true
		default:
			if err := e.state.apply(m); err != nil && e.bad == nil {
				e.bad = fmt.Errorf("%w: %+v", err, m)
			}
		}
	}
	e.inbox = nil
}

// meet waits until the elder shows what the database has for its identity, or has been sent away.
func (c *crowd) meet(e *elder) {
	c.t.Helper()
	may := e.who.mayUse(e.menu)
	for done := false; !done; {
		want := c.pageFor(e)
		var ended, refused bool
		e.until(func() string { return e.describe(want) }, func(inbox []message) bool {
			e.consume(inbox)
			ended, refused = e.ended, e.refused
			done = may && e.state.held && e.state.equal(want) || !may && ended
			return done || may && ended || refused || e.bad != nil
		})
		require.NoError(c.t, e.bad, e.menu.name)
		switch {
		case done:
		case ended:
			c.begin(e)
		case refused:
			e.get()
		}
	}
}

func (e *elder) describe(want pageOf) string {
	return fmt.Sprintf("%s for %s, page %d of %d\nwant %+v\nhave %+v, ended %v", e.menu.name, e.who, e.page, e.size, want, e.state, e.ended)
}

// pageFor is the page as the database has it for the elder.
func (c *crowd) pageFor(e *elder) pageOf {
	if !e.who.mayUse(e.menu) {
		return pageOf{}
	}
	list, err := c.ledger.now((&choice{menu: e.menu}).as(e.who))
	require.NoError(c.t, err)
	from := min(e.page*e.size, len(list))
	return pageOf{held: true, page: e.page, size: e.size, total: len(list), items: jsons(list[from:min(from+e.size, len(list))])}
}

// transaction runs a few statements that are committed or rolled back together.
func (c *crowd) transaction() {
	ctx := context.Background()
	tx, err := c.pool.Begin(ctx)
	require.NoError(c.t, err)
	for range 1 + c.random.IntN(4) {
		c.write(tx)
	}
	if c.random.IntN(8) == 0 {
		require.NoError(c.t, tx.Rollback(ctx))
		return
	}
	require.NoError(c.t, tx.Commit(ctx))
}

// write runs one random statement in a savepoint, which is rolled back when the statement fails.
func (c *crowd) write(in executor) {
	sql := c.statement()
	err := pgx.BeginFunc(context.Background(), in, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), sql)
		return err
	})
	require.False(c.t, err != nil && !slices.Contains([]string{"23505", "40P01"}, codeOf(err)), "%s: %v", sql, err) // a key is taken, a deadlock
}
