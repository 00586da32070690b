// Package protocol is the socksync wire protocol, versions 1 and 2: its messages,
// its error codes, strict decoding, encoding, and a subscriber's copy of a page.
//
// It does no I/O and keeps no state of a connection. docs/PROTOCOL.md is the
// contract that it implements; testdata/protocol holds the vectors that prove
// it.
//
// # Decoding
//
// The first condition of the error table that applies is answered, and two of
// its rows (f: the name, g: the func, the role and the subscription) can only
// be decided by whoever knows what the connection provides and follows. So a
// message is decoded in two stages:
//
//  1. [Version.Parse] decides the rows before them: UTF-8, JSON, func and type.
//     It returns a [Frame]. In version 2 [Frame.Route] then says to which
//     window and which request the message belongs, also if Parse failed.
//  2. The receiver decides rows f and g, with [Frame.HasName] and
//     [Version.RoleOf]; in version 2 a bad view is decided between the two.
//  3. The method of the frame that is named after the message, for example
//     [Frame.Insert], decides the rows after them and returns the fields.
//
// Every error that is to be answered is an [*Error]. The only other one is
// [ErrInvalidUTF8], after which the connection is closed.
//
// Field names are compared exactly, of a repeated field the last counts,
// unknown fields are ignored, and nothing is repaired: encoding/json does
// otherwise in each of these, so it is not used to take messages apart.
//
// # Memory
//
// A frame and every raw JSON value decoded from it are parts of the data given
// to Parse: they are valid as long as that is, and copy nothing. [Page]
// copies what it keeps.
//
// # Encoding
//
// The Append functions append one message to a byte slice and return it. The
// fields are in the order func, type, name, then the others as the tables list
// them. What a version 2 peer is sent has a function of its own where it can
// carry more: those with V2 in their names, and [AppendHead] with a body that is
// the same for all subscribers of a window. Calls and returns are the same in
// both versions. Raw JSON values are written as they are given and must be valid JSON
// without needless depth: the message as a whole must not be nested deeper
// than [MaxDepth]. A nil value is written as null.
//
// All functions and methods are safe for concurrent use, except the methods of
// [Page] that change it.
package protocol
