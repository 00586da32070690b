package view_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// oracle knows what all choices were at each sequence.
type oracle struct {
	skipped map[string]error // by the drain under way; of the feed goroutine

	mu        sync.Mutex // guards all below
	snapshots map[uint64]*snapshot
	epoch     string
}

func newOracle() *oracle { return &oracle{snapshots: map[uint64]*snapshot{}} }

// inspect runs in the transaction of each drain. Of drains that are repeated the last one counts.
func (o *oracle) inspect(ctx context.Context, tx pgx.Tx, sequence uint64) error {
	s := &snapshot{}
	err := s.read(ctx, tx, o.skipped)
	if listen.IsLockTimeout(err) {
		return &listen.TableError{Table: feedTable, Err: err}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.snapshots[sequence] = s
	return err
}

// check holds a state against what was at its sequence, which it returns.
func (o *oracle) check(pick int, s *window.State) (sequence uint64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	epoch, text, _ := strings.Cut(s.Rev, ".")
	sequence, err = strconv.ParseUint(text, 10, 64)
	if o.epoch == "" {
		o.epoch = epoch
	}
	if err != nil || epoch != o.epoch {
		return 0, fmt.Errorf("revision %q: %w", s.Rev, err)
	}
	then := o.snapshots[sequence]
	if then == nil {
		return sequence, fmt.Errorf("nobody knows of revision %s", s.Rev)
	}
	if err := then.compare(pick, s); err != nil {
		return sequence, fmt.Errorf("at %s: %w", s.Rev, err)
	}
	return sequence, nil
}

// replaced checks an anchor that gave way to another: to one that was before it, with no row between them that is what
// it was. The list may have changed since the window last did, so it is enough that this holds at some time since.
func (o *oracle) replaced(pick int, from, to *window.State) error {
	first, _ := o.check(pick, from)
	last, _ := o.check(pick, to)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.snapshots[last]
	if now == nil {
		return nil // has been reported
	}
	var err error
	for ; first < last; first++ {
		before := o.snapshots[first]
		if before == nil || before.compare(pick, from) != nil {
			continue
		}
		if err = before.gaveWay(pick, now, from.After, to.After); err == nil {
			return nil
		}
	}
	return err
}

// gaveWay checks that between an anchor and the one that it gave way to there is no row that is the same now.
func (s *snapshot) gaveWay(pick int, now *snapshot, from, to []json.RawMessage) error {
	order, table := s.ids[pick], picks[pick].table
	old := slices.Index(order, keyOf(from))
	first := 0
	if to != nil {
		if first = slices.Index(order, keyOf(to)) + 1; first == 0 || first > old {
			return fmt.Errorf("anchor %s gave way to %s, which was not before it", from, to)
		}
	}
	for _, id := range order[first:max(first, old)] {
		if slices.Contains(now.ids[pick], id) && s.items[table][id] == now.items[table][id] {
			return fmt.Errorf("anchor %s gave way to %s, but %d was between them and has not changed", from, to, id)
		}
	}
	return nil
}

// asked is a get.
type asked struct {
	pick int
	want window.Want
	from *window.State // that the revision is of; nil if it is of none
}

// seen is a state that somebody held once.
type seen struct {
	pick  int
	state *window.State
}

// picker is a subscriber of version 2 that believes nothing.
type picker struct {
	t       require.TestingT
	oracle  *oracle
	account *window.Account
	sub     window.Subscription
	list    string

	mu       sync.Mutex    // guards all below
	wake     chan struct{} // closed and replaced at every call
	gone     bool          // calls may still be under way
	asks     []asked       // without an answer
	pick     int           // what it looks at
	held     *window.State // nil before the first answer
	last     asked         // that the window answered
	sequence uint64        // of the revision that it was given last
	stands   bool
	seen     []seen
	answers  map[string]int // how gets were answered
	bad      []string
}

// subscribe opens a subscription to a list.
func (r *picking) subscribe(account *window.Account) *picker {
	list := []string{"all", "all", "all", "some", "beats"}[r.random.IntN(5)]
	p := &picker{t: r.t, oracle: r.oracle, account: account, list: list, wake: make(chan struct{}), answers: map[string]int{}}
	p.sub = r.sources[list].Subscribe(p, window.Options{Quiet: true, Account: account})
	return p
}

func (p *picker) get(a asked) {
	p.mu.Lock()
	p.asks = append(p.asks, a)
	p.mu.Unlock()
	p.sub.Get(a.want)
}

// back is a get of who comes back with a state of any time, or with a revision of none.
func (p *picker) back(random *rand.Rand) asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	recent := p.seen[max(0, len(p.seen)-30):]
	s := recent[random.IntN(len(recent))]
	a := asked{pick: s.pick, from: s.state, want: window.Want{
		Page: s.state.Page, Size: s.state.Size, Anchored: s.state.Anchored, After: s.state.After,
		Rev: s.state.Rev, Choice: picks[s.pick].choice,
	}}
	if random.IntN(6) == 0 {
		a.want.Rev = []string{"1.1", "no revision", p.oracle.epoch + ".999999", p.oracle.epoch + ".1"}[random.IntN(4)]
	}
	return a
}

func (p *picker) called(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return
	}
	do()
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *picker) fault(format string, args ...any) {
	if len(p.bad) < 3 {
		p.bad = append(p.bad, fmt.Sprintf(format, args...))
	}
}

// answered takes the gets that are answered, and returns the last.
func (p *picker) answered(gets int, how string) asked {
	p.answers[how]++
	if gets < 1 || gets > len(p.asks) {
		p.fault("%d gets are answered of %d", gets, len(p.asks))
		p.asks = append(p.asks, make([]asked, max(1, gets))...)
	}
	a := p.asks[gets-1]
	p.asks = p.asks[gets:]
	return a
}

// shows takes a state that the subscriber is given.
func (p *picker) shows(what string, s *window.State) {
	sequence, err := p.oracle.check(p.pick, s)
	if err != nil {
		p.fault("%s: %v", what, err)
	}
	if sequence < p.sequence {
		p.fault("%s: revision %s after one of %d", what, s.Rev, p.sequence)
	}
	p.sequence = sequence
	p.held, p.stands = s, false
	p.seen = append(p.seen, seen{p.pick, s})
}

// begins checks where a step begins: at what the subscriber holds.
func (p *picker) begins(what string, from, holds *window.State) {
	if holds == nil || !from.Same(holds) {
		p.fault("%s does not begin at what is held: %+v is not %+v", what, from, holds)
	}
	if _, err := p.oracle.check(p.pick, from); err != nil {
		p.fault("%s begins: %v", what, err)
	}
}

// Step implements window.Sink.
func (p *picker) Step(s *window.Step) {
	p.called(func() {
		if p.held == nil {
			p.fault("a step before the first answer")
			return
		}
		p.begins("a step", s.From, p.held)
		if !slices.EqualFunc(s.From.After, s.To.After, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			p.answers["another anchor"]++
			if err := p.oracle.replaced(p.pick, s.From, s.To); err != nil {
				p.fault("a step: %v", err)
			}
		}
		p.shows("a step", s.To)
	})
}

// Answer implements window.Sink.
func (p *picker) Answer(s *window.State, gets int) {
	p.called(func() {
		a := p.answered(gets, "whole")
		p.pick, p.last = a.pick, a
		p.fits(a.want, s)
		if a.want.After == nil && s.After != nil {
			p.fault("the window is after %s, not at the start", s.After)
		}
		p.shows("an answer", s)
	})
}

// fits checks that a window is the one that was asked for, but for its anchor.
func (p *picker) fits(want window.Want, s *window.State) {
	size := min(want.Size, pickPage)
	if want.Anchored {
		size = min(want.Size, pickWindow)
	}
	if s.Page != want.Page || s.Size != size || s.Anchored != want.Anchored || !s.Filled() {
		p.fault("asked for %+v, given %+v", want, s)
	}
}

// Resume implements window.Sink.
func (p *picker) Resume(s *window.Step, gets int) {
	p.called(func() {
		a := p.answered(gets, "step")
		if a.want.Rev != "" {
			p.pick = a.pick
			if s.From != p.held { // else it has been told what came since it asked
				p.begins("a step back", s.From, a.from)
			}
			if s.From != p.held && s.From.Rev != a.want.Rev {
				p.fault("a step back from %s begins at %s", a.want.Rev, s.From.Rev)
			}
		} else {
			p.answers["grown"]++
			p.begins("a step that grows", s.From, p.held)
			if a.pick != p.pick || a.want.Size <= s.From.Size {
				p.fault("%+v is no growth of %+v", a.want, s.From)
			}
		}
		p.last = a
		p.fits(a.want, s.To)
		p.shows("the end of a step", s.To)
	})
}

// Fail implements window.Sink.
func (p *picker) Fail(err error, gets int) {
	p.called(func() { p.answered(gets, err.Error()) })
}

// Still implements window.Sink.
func (p *picker) Still(error) {
	p.called(func() {
		if p.held == nil || p.stands {
			p.fault("nothing moved that could stand still")
		}
		p.stands = true
		p.answers["still"]++
	})
}

// until waits until something holds; else tells why not.
func (p *picker) until(holds func() bool, why func() any) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		p.mu.Lock()
		ok, wake := holds(), p.wake
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			p.mu.Lock()
			about := fmt.Sprintf("%d gets; %v; stands still: %t; %v", len(p.asks), why(), p.stands, p.bad)
			p.mu.Unlock()
			require.FailNow(p.t, "waited in vain", about)
		}
	}
}
