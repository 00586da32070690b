// Package memory holds vars, lists and functions whose data lives in the
// program: the counterparts of the ones that come from a database. Servers and
// clients provide them in the same way.
//
// Everything may be used by any goroutine, each method is one change, and no
// method waits for a connection: subscribers that are slow get several changes
// folded into one. A change of one item of a [List] reaches its subscribers as
// the shortest sequence of messages there is.
//
// A list has no columns, so nobody can sort, filter or search it, and it can be
// followed page by page or from its start on. Who comes back after its connection
// was lost is sent what has changed meanwhile, as far as the list remembers: the
// last 64 states of each window, and the last 16 windows that nobody looks through
// any more.
package memory
