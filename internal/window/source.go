package window

// Source is a list that can be followed page by page: an in-memory list, or a
// live view of a table. Its methods may be called by any goroutine.
type Source interface {
	// Name is the list's name on the wire.
	Name() string
	// Sizes returns the page size of a get that names none, and the maximum.
	Sizes() (page, maximum int)
	// Subscribe opens a subscription at page 0 with the maximum page size. It
	// does not block: the sink may get steps from now on, and an answer only
	// after Subscription.Get.
	Subscribe(Sink) Subscription
}

// Subscription is one subscriber's place in a list. Its methods do not block
// and must be called by one goroutine at a time.
type Subscription interface {
	// Get moves to another page. It is answered by Sink.Answer or Sink.Fail.
	// Until then the old window goes on. A Get that was not answered when the
	// next one came may be left without an answer of its own: the answer
	// carries the number of gets that it answers.
	Get(page, size int)
	// Close ends the subscription. Calls of the sink that are already under
	// way may still arrive; the sink ignores them.
	Close()
}

// Sink takes what happens to one subscription. Its methods are called one at a
// time, in the order of the list's states. They must not block and must not
// call the subscription.
type Sink interface {
	// Step says that the window has moved on from step.From to step.To. Before
	// the first Answer the states may be unfilled; a row that the step inserts
	// or sets is always filled.
	Step(*Step)
	// Answer answers the gets that are outstanding, up to the one for this
	// state; from now on this is the subscriber's window.
	Answer(state *State, gets int)
	// Fail answers gets by an error; the window stays what it was. The error
	// is fit for the peer if it is a *protocol.Error, otherwise it is only logged.
	Fail(err error, gets int)
}

// ValueSource is a single live value: a var. Its methods may be called by any
// goroutine.
type ValueSource interface {
	// Name is the var's name on the wire.
	Name() string
	// Subscribe opens a subscription. It does not block.
	Subscribe(ValueSink) ValueSubscription
}

// ValueSubscription is one subscriber's hold on a var. Its methods do not
// block and must be called by one goroutine at a time.
type ValueSubscription interface {
	// Get asks for the value; answered by ValueSink.Answer or ValueSink.Fail.
	Get()
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
