// Package wsconn is one WebSocket connection, accepted or dialed.
//
// The library coder/websocket makes the handshake, reads frames and answers
// pings and close frames. It does not touch the socket itself: it is given a
// link, which passes its reads through and takes its control frames. All bytes
// that leave the connection, control frames of the library included, are
// written by one goroutine at a time, whole frames one after the other, so that
// frames cannot interleave.
//
// Nothing is queued here. Messages are pulled: [Conn.Flush] says that there may
// be some, and a writer goroutine then asks Config.Next for those that are due,
// writes them, and asks again until there are none. It ends then, so an idle
// connection has no goroutine but the one that reads. While the peer is slow,
// Next is not called, and its owner can fold what is still due. A payload may be
// shared by any number of connections: it is only read, and over TCP without
// TLS it goes from the shared bytes to the kernel in one writev with all the
// others that are due.
//
// # Life of a connection
//
// Somebody must call [Conn.Read] again and again until it fails; this is what
// answers pings, sees the peer's close frame and notices that the peer is gone.
// When Read has returned an error the connection is over: the socket is closed,
// no goroutine of the connection runs, and Next is not called any more. The
// error says why, see [CloseStatus].
//
//	open ── Close, the library's close frame, the peer's ──▶ closing
//	closing ── the peer's close frame, or CloseTimeout ──▶ shut
//	open, closing ── socket error, stalled write, no pong, CloseNow ──▶ shut
//
// A write that fails only ends the writing, because what the peer sent before,
// such as its close frame, may still be there to be read.
//
// HTTP/1.1 only, no compression.
package wsconn
