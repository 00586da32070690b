// Package memory holds vars, lists and functions whose data lives in the
// program: the counterparts of the ones that come from a database. Servers and
// clients provide them in the same way.
//
// Everything may be used by any goroutine, each method is one change, and no
// method waits for a connection: subscribers that are slow get several changes
// folded into one. A change of one item of a [List] reaches its subscribers as
// the shortest sequence of messages there is.
package memory
