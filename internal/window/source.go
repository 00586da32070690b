package window

import (
	"encoding/json"

	"github.com/socksync/socksync/protocol"
)

// Choice is what a subscriber wants to see of a list.
type Choice = protocol.Choice

// Condition compares a column, or a parameter of a var, with a value.
type Condition = protocol.Condition

// Want is what a get asks for.
type Want struct {
	// Page counts from 0.
	Page int
	// Size is the page size, at least 1, or 0 for what the source gives when none is asked for. The source cuts it down
	// to its maximum.
	Size int

	// The following are of version 2.

	// Anchored asks for the rows after a row instead of a page; After is the row's key, nil for the start.
	Anchored bool
	After    []json.RawMessage
	// Choice is what of the list is wanted.
	Choice Choice
	// Rev is the state that the subscriber holds, "" for none.
	Rev string
}

// Options say how a subscription is held.
type Options struct {
	// Quiet says that there is no window before the answer to the first get, as in version 2. Otherwise the subscriber
	// begins at page 0 with the maximum page size.
	Quiet bool
	// Account is charged with what the subscription has the source keep. Nil is nobody's: nothing is counted.
	Account *Account
	// Identity is whose subscription it is, for as long as it lasts. A Restricted source has permitted it.
	Identity Identity
	// Instead is a subscription of the same source that this one takes the place of, because the identity of its owner has
	// changed; nil for none. Its sink is not called any more, and the source closes it when it can. Anchors that the new
	// identity does not see give way to the row that was before them.
	Instead Subscription
}

// Source is a list that can be followed window by window: an in-memory list, or a live view of a table. Its methods may
// be called by any goroutine.
type Source interface {
	// Name is the list's name on the wire.
	Name() string
	// Subscribe opens a subscription. It does not block: unless Options.Quiet says otherwise the sink may get steps from
	// now on, and in any case an answer only after Subscription.Get.
	Subscribe(Sink, Options) Subscription
}

// Subscription is one subscriber's place in a list. Its methods do not block
// and must be called by one goroutine at a time.
type Subscription interface {
	// Get moves to another window. It is answered by Sink.Answer, Sink.Resume or Sink.Fail. Until then the old window
	// goes on. A Get that was not answered when the next one came may be left without an answer of its own: the answer
	// carries the number of gets that it answers.
	Get(Want)
	// Close ends the subscription. Calls of the sink that are already under
	// way may still arrive; the sink ignores them.
	Close()
	// Leave is Close where the subscriber may soon be back for its window with the revision that it holds: its
	// connection has ended. The window is kept for a while.
	Leave()
}

// Checker is a Subscription that can tell at once, whatever rows the list has, why a get would be refused. Such a get then
// does not come between those that wait for an answer.
type Checker interface {
	// Check returns the error that answers a get for it, fit for the peer, or nil if the get is to be tried.
	Check(Want) error
}

// Sink takes what happens to one subscription. Its methods are called one at a
// time, in the order of the list's states. They must not block and must not
// call the subscription.
type Sink interface {
	// Step says that the window has moved on from step.From to step.To. Before
	// the first Answer the states may be unfilled; a row that the step inserts
	// or sets is always filled. After Still it says, also if nothing differs, that the window moves again.
	Step(*Step)
	// Answer answers the gets that are outstanding, up to the one for this
	// state; from now on this is the subscriber's window.
	Answer(state *State, gets int)
	// Resume is Answer for a subscriber that holds step.From already: because its get said so with Want.Rev, or because
	// the get differs from its window only in a greater size. step.From is then the last state that the sink was given.
	// It is called for Quiet subscriptions only.
	Resume(step *Step, gets int)
	// Fail answers gets by an error; the window stays what it was. The error
	// is fit for the peer if it is a *protocol.Error, otherwise it is only logged.
	Fail(err error, gets int)
	// Still says that the window stands still because the source cannot follow what it shows, until the next Step,
	// Answer or Resume. The error is as for Fail.
	Still(err error)
}

// ValueSource is a single live value: a var. Its methods may be called by any
// goroutine.
type ValueSource interface {
	// Name is the var's name on the wire.
	Name() string
	// Subscribe opens a subscription. It does not block. Of the options only Identity is for values.
	Subscribe(ValueSink, Options) ValueSubscription
}

// ValueSubscription is one subscriber's hold on a var. Its methods do not
// block and must be called by one goroutine at a time.
type ValueSubscription interface {
	// Get asks for the value, for the parameters that the filter names, with OpEq; answered by ValueSink.Answer or
	// ValueSink.Fail. From the answer on the subscription follows that value. Version 1 has no filter.
	Get(filter []Condition)
	// Close ends the subscription, as [Subscription.Close] does.
	Close()
}

// ValueSink takes what happens to one var subscription, under the rules of [Sink].
type ValueSink interface {
	// Set says that the value has changed.
	Set(*Value)
	// Answer answers all gets that are outstanding.
	Answer(*Value, int)
	// Fail answers all gets that are outstanding by an error.
	Fail(err error, gets int)
}
