// Package client connects to a socksync server and keeps the connection: it
// follows the server's vars and lists, calls its functions, and provides vars,
// lists and functions of its own (see package memory).
//
//	c, err := client.Dial(ctx, "wss://example.com/ws/socksync/", nil)
//	...
//	flights, err := client.FollowList(c, "departures", &client.ListOptions[Flight]{PageSize: 20})
//	...
//	page, err := flights.Get(ctx, 0, 20)
//	for range flights.Changed() {
//		page, err = flights.Snapshot()
//		...
//	}
//
// When the connection is lost, the client connects again, at growing intervals,
// and picks up where it was: everything that was followed is followed again, at
// the page that was chosen last.
//
// The functions of this package take a [Peer], so they serve both ends: a
// [Client] is one, and so is a connection of a server, over which the server
// follows what its client provides.
//
// In version 1 of the protocol one change may be several messages. A callback
// that is told of every message therefore also sees pages in between, which the
// server's list never had; a page is right when the messages of a change have all
// arrived.
package client
