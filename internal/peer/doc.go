// Package peer is the engine of both ends of a connection: what is provided to
// the other end, what is followed there, and which message belongs to what.
//
// A [Registry] holds the items that are provided, for any number of
// connections. A [Peer] is one end of one connection. It takes messages from
// one goroutine, [Peer.Run], and gives out messages when the connection asks
// for some, through [Peer.Next]: there is no queue of what was published. What a
// slow connection has not been sent is kept as one folded step per
// subscription, so its memory is bounded by its subscriptions.
//
// # Order
//
// A subscription keeps a script of what it still has to say: answers, steps and
// errors in the order of the gets and states that they belong to, folded where
// the protocol allows it. Everything else, such as results of functions and our
// own requests, is said in the order in which it came up, before the scripts of
// the subscriptions take their turns.
//
// # Versions
//
// A Peer speaks version 1 of the protocol unless [Peer.Speak] says otherwise. In
// version 2 the other end may be subscribed to any number of views of one item,
// and every request says what it is answered by. What a list is to a view is a
// window: the state that the other end has, the newest one, and one step between
// the two, which is said when the connection takes it, or when a pause ends.
//
// # Goroutines and locks
//
// Three kinds of goroutines meet in a Peer: the reader, which is the one that
// called Run; the writer, of which there is at most one at a time, in Next; and
// all others, which publish changes, finish functions, follow items, call
// functions and change credentials. What the other end is subscribed to is used
// by who has the turn, a mutex: the reader while it deals with a message, or who
// changes credentials, or a timer that has to ask a list again. Everything else
// that is shared is guarded by one mutex, mu, which is taken after the turn, and
// is never held while something is encoded, sent, waited for, or told to a list,
// an item that is followed, or the application.
//
// Nobody waits for the turn with mu held, and who has the turn waits only for
// what comes without it: for lists to answer, and for the application. The reader
// waits for room without the turn.
//
// # Credentials
//
// The credentials of the other end may change and end while the connection lasts.
// What is published to others than those for whom it was queued is the one thing
// that must not be, so a change begins by muting what has been queued: see
// [Peer.SetCredentials] and the comments beside it. Their end is in expiry.go.
//
// A subscription of a list or var is of one identity. When that changes, another
// subscription takes its place, with a sink of its own, so that what the old one
// still says is known by its sink, and dropped. The script goes back to what has
// been taken from it, and from there the window goes on by one step.
package peer
