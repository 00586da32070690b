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
// With a server that speaks version 2 of the protocol, a list is sorted, filtered
// and searched as far as its server allows it, scrolled without end, held while
// somebody reads, and followed as often as one likes over one connection:
//
//	late, err := client.FollowList(c, "flights", &client.ListOptions[Flight]{
//		Sort:     []string{"-delay_minutes", "departs_at"},
//		Filter:   []client.Condition{client.Eq("origin", "OSL"), client.Gte("delay_minutes", 15)},
//		Anchored: true,
//		PageSize: 50,
//	})
//	...
//	page, err := late.Grow(ctx, 100)
//
// When the connection is lost, the client connects again, at growing intervals,
// and picks up where it was: everything that was followed is followed again, at
// the window that was chosen last. In version 2 the page is shown meanwhile as it
// was, and only what has changed is sent. If the row behind which an anchored
// window began is gone by then, and the server does not remember the window, it
// begins at the start of the list.
//
// The functions of this package take a [Peer], so they serve both ends: a
// [Client] is one, and so is a connection of a server, over which the server
// follows what its client provides.
//
// In version 2 every page is one that the server's list had. In version 1 one
// change may be several messages. A callback that is told of every message
// therefore also sees pages in between; a page is right when the messages of a
// change have all arrived. What version 1 cannot express is [ErrVersion].
package client
