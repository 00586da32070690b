package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// ErrClosed says that the connection or the subscription has ended.
var ErrClosed = errors.New("closed")

// Conn is what a Peer needs of a WebSocket. Whoever makes the connection gives
// it [Peer.Next] to ask for messages.
type Conn interface {
	// Read returns the next text message, valid until the next Read.
	Read() ([]byte, error)
	// Flush says that Next has something to give. It does not block.
	Flush()
	// Close starts to close the connection with a code, after what is being
	// written; Read fails soon. It does not block.
	Close(code int, reason string) error
}

// Config is what a Peer is made of. The zero Config provides nothing.
type Config struct {
	// Registry holds what is provided; nil for nothing.
	Registry *Registry
	// Limits bound what the other end may use.
	Limits Limits
	// Credentials say whose connection it is at first.
	Credentials Credentials
	// Authenticate finds out whose token it is that the other end sends to change
	// its credentials; nil means that it cannot. Any error refuses it, as do
	// credentials that have ended. It is called by the goroutine of Run, with its
	// context.
	Authenticate func(ctx context.Context, token string) (Credentials, error)
	// Renew is asked for new credentials when those in force have expired, before
	// the other end is told. An error means that there are none. Nil is never
	// asked. It has a goroutine of its own. Until it returns nothing is published
	// or read; its context ends with the connection, and after ExpiryGrace.
	Renew func(ctx context.Context, expired Credentials) (Credentials, error)
	// ExpiryGrace is how long a connection stays open after its credentials have
	// expired, for the other end to send others. 0 means 10 seconds.
	ExpiryGrace time.Duration
	// Authorize decides whether the other end may use an item; nil allows
	// everything. In version 1 an item that is refused looks like one that does
	// not exist; in version 2 the other end is told. It is called when the other
	// end subscribes, and again for everything that it is subscribed to when its
	// credentials have changed, with the context of Run: nothing else is read
	// meanwhile.
	Authorize func(ctx context.Context, owner any, kind protocol.ItemType, name string) error
	// CallContext makes the context of a function's call; nil takes that of Run.
	CallContext func(ctx context.Context, owner any) context.Context
	// OnError is told every error message of the other end; nil for none. taken
	// says that something waited for it: a call, a Get or an item that is
	// followed. It is called by the goroutine of Run and must not block.
	OnError func(e *protocol.Error, taken bool)
	// CallTimeout ends calls whose context has no deadline. 0 means 30 seconds.
	CallTimeout time.Duration
	// ReplyTimeout is how long nothing may be read because the other end does not
	// take its replies (Limits.ReplyBytes), before the connection is closed with
	// 4008. A slow connection may need a while for what is being written to it. 0
	// means one minute.
	ReplyTimeout time.Duration
	// Resume says that what is followed will be followed over another connection
	// when this one ends, so that who waits for a page or value goes on waiting.
	Resume bool
	// Log gets functions that failed and refusals; nil means slog.Default().
	Log *slog.Logger
}

func (c *Config) withDefaults() Config {
	var out Config
	if c != nil {
		out = *c
	}
	out.Limits = out.Limits.WithDefaults()
	if out.CallTimeout <= 0 {
		out.CallTimeout = 30 * time.Second
	}
	if out.ReplyTimeout <= 0 {
		out.ReplyTimeout = time.Minute
	}
	if out.ExpiryGrace <= 0 {
		out.ExpiryGrace = 10 * time.Second
	}
	if out.Log == nil {
		out.Log = slog.Default()
	}
	if out.OnError == nil {
		out.OnError = func(*protocol.Error, bool) {}
	}
	return out
}

// Peer is one end of one connection. Except where it says otherwise, its
// methods may be called by any goroutine, also before Run.
type Peer struct {
	cfg     Config
	version protocol.Version // set before anything is said, then only read
	done    chan struct{}    // closed when the connection has ended
	runs    sync.WaitGroup

	// turn is held while a message is dealt with, while credentials are changed,
	// and by whatever else uses a subscription. It is taken before mu. It guards
	// what the other end is subscribed to.
	turn       sync.Mutex
	subscribed map[place]feed
	account    *window.Account // of version 2

	// mu guards all below. The methods of outbox, lease and requests need it
	// held, unless their comments say otherwise.
	mu     sync.Mutex
	lease  lease
	conn   Conn            // nil before Run
	early  func(Conn)      // the first Close before Run, if there was one
	ctx    context.Context // of Run, the same from then on
	why    error           // the connection ended; nil before that
	out    outbox
	served map[string]struct{} // ids of the functions that run for the other end
	asked  requests
}

// New returns a peer for a connection that is to be made: give [Peer.Next] to
// it, then call Run. A nil Config is the zero Config.
func New(cfg *Config) *Peer {
	p := &Peer{
		cfg:        cfg.withDefaults(),
		version:    protocol.V1,
		done:       make(chan struct{}),
		subscribed: make(map[place]feed),
		served:     make(map[string]struct{}),
	}
	p.lease.held = p.cfg.Credentials
	p.account = window.NewAccount(p.cfg.Limits.Views, p.cfg.Limits.Rows)
	p.out.room.L = &p.mu
	p.asked = requests{records: make(map[key]*record), calls: make(map[string]*call)}
	return p
}

// Speak sets the version that both ends have agreed on; without it that is version 1. It is called at most once, before
// Run and before anything is followed or called.
func (p *Peer) Speak(v protocol.Version) { p.version = v }

// Version is the version that the connection speaks.
func (p *Peer) Version() protocol.Version { return p.version }

// Run reads and answers until the connection ends or ctx does, and returns when
// everything that it started has ended, functions included. ctx is the context
// of every function and of Authorize. The error is why the connection ended; it
// is never nil. Run is called once.
func (p *Peer) Run(ctx context.Context, conn Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.runs.Wait()
	defer cancel()
	p.begin(ctx, conn)
	stop := context.AfterFunc(ctx, func() { _ = p.Close(closeGoingAway, "") }) // Run returns the reason
	err := p.read(conn)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	stop()
	cancel() // who has the turn may wait for it
	p.end(fmt.Errorf("peer: %w", err))
	return p.Err()
}

// begin makes the connection known. If the peer was closed before, it is closed.
func (p *Peer) begin(ctx context.Context, conn Conn) {
	p.mu.Lock()
	p.ctx, p.conn = ctx, conn
	early := p.early
	expired := p.arm()
	changes := p.lease.changes
	p.mu.Unlock()
	if early != nil {
		early(conn)
	}
	if expired {
		p.expire(changes)
	}
	conn.Flush()
}

// closeGoingAway is the code of a close that nobody gave a better reason for.
const closeGoingAway = 1001

// read takes messages until the connection ends.
func (p *Peer) read(conn Conn) error {
	for {
		p.awaitRoom()
		data, err := conn.Read()
		if err != nil {
			return err
		}
		if err := p.receive(data); err != nil {
			_ = p.Close(protocol.CloseInvalidUTF8, "invalid UTF-8") // read on until it is closed
		}
	}
}

// awaitRoom waits until replies take less than the limit. Who does not take them
// for long is too slow.
func (p *Peer) awaitRoom() {
	p.mu.Lock()
	full := p.out.waiting() > p.cfg.Limits.ReplyBytes
	p.mu.Unlock()
	if !full {
		return
	}
	timer := time.AfterFunc(p.cfg.ReplyTimeout, func() { _ = p.Close(protocol.CloseTooSlow, "too slow") })
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.out.waiting() > p.cfg.Limits.ReplyBytes && !p.out.closing {
		p.out.room.Wait()
	}
}

// end lets go of everything: subscriptions of the other end, followed items,
// waiting calls.
func (p *Peer) end(why error) {
	p.mu.Lock()
	p.why = why
	p.out.shut()
	p.lease.cancel()
	v := p.asked.end()
	p.mu.Unlock()
	p.turn.Lock()
	for at := range p.subscribed {
		p.drop(at, true)
	}
	p.turn.Unlock()
	reason := ErrClosed
	if p.cfg.Resume {
		reason = nil
	}
	for _, l := range v.links {
		l.remote.detach(l, reason)
	}
	for _, c := range v.calls {
		c.finish(nil, ErrClosed)
	}
	close(p.done)
}

// Done is closed when the connection has ended and what was followed and
// subscribed over it has been let go. Functions may still run.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err returns why the connection ended, as Run does; nil before Done is closed.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// Close starts to close the connection with a code of the WebSocket. What the
// other end sends from now on is discarded. Only the first reason to close
// counts. It does not block. Before Run it has Run close the connection.
func (p *Peer) Close(code int, reason string) error {
	p.mu.Lock()
	conn := p.conn
	p.out.closing = true
	p.out.room.Broadcast()
	if conn == nil && p.early == nil {
		p.early = func(c Conn) { _ = c.Close(code, reason) } // Run has the outcome
	}
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	if err := conn.Close(code, reason); err != nil {
		return fmt.Errorf("peer: close: %w", err)
	}
	return nil
}

func (p *Peer) connection() Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// flush tells the connection that there is something to write. It is called
// without mu.
func (p *Peer) flush() {
	if conn := p.connection(); conn != nil {
		conn.Flush()
	}
}
