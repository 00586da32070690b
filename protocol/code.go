package protocol

import "strconv"

// Code is an error code of the protocol. The zero Code is none of them: it
// stands for an error of a peer that named no code.
type Code int

// The error codes.
const (
	InvalidFunc  Code = 1 // no such func, not in the receiver's role, or no subscription
	InvalidType  Code = 2 // no such type of item
	InvalidName  Code = 3 // no such item
	MissingField Code = 4 // a required field is absent
	BadIndex     Code = 5 // page, page_size or index is not an integer or out of range
	BadID        Code = 6 // not an id, or one that is in use or not known
	InvalidJSON  Code = 7 // not a JSON object, or nested too deep
	Other        Code = 8 // anything else: a failed function, a limit, a refusal

	// The codes of version 2.
	Forbidden          Code = 9  // the identity may not; without an id it ends the window that it names
	TooManyRequests    Code = 10 // slow down
	CredentialsExpired Code = 11 // nothing is published until they are renewed
)

var codeNames = [...]string{
	InvalidFunc:  "invalid func",
	InvalidType:  "invalid type",
	InvalidName:  "invalid name",
	MissingField: "missing field",
	BadIndex:     "bad index",
	BadID:        "bad id",
	InvalidJSON:  "invalid JSON",
	Other:        "other",

	Forbidden:          "forbidden",
	TooManyRequests:    "too many requests",
	CredentialsExpired: "credentials expired",
}

// String returns the name of the code, for example "bad index", or "code 42"
// for one that no version has.
func (c Code) String() string {
	if c >= InvalidFunc && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.Itoa(int(c))
}

// Error is an error that one peer tells the other.
type Error struct {
	Code Code
	// Message is for people. It is fit for the peer: it tells what is wrong
	// with what the peer sent, and nothing of how the sender works inside.
	Message string
}

// Error returns the message and the code.
func (e *Error) Error() string {
	if e.Message == "" || e.Message == e.Code.String() {
		return "socksync error " + strconv.Itoa(int(e.Code)) + " (" + e.Code.String() + ")"
	}
	return "socksync error " + strconv.Itoa(int(e.Code)) + " (" + e.Code.String() + "): " + e.Message
}

// Is reports whether the target is an [*Error] with the same code and no message, so that errors.Is finds errors by their
// code: errors.Is(err, &Error{Code: Forbidden}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// Close codes of the WebSocket that the protocol uses besides the normal ones.
const (
	CloseUnsupportedData    = 1003 // a binary message
	CloseInvalidUTF8        = 1007 // a text message that is not UTF-8
	CloseTooBig             = 1009 // a message over the receiver's limit
	CloseRefused            = 4001 // credentials refused; do not try again with the same
	CloseCredentialsExpired = 4002
	CloseTooSlow            = 4008 // the peer did not take its messages in time
	CloseTooManyRequests    = 4009
	CloseShutdown           = 4010 // the server is shutting down; connect elsewhere
)
