package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/socksync/socksync/protocol"
)

// Func is a function that the other end may call. Make it with [NewFunc].
type Func struct {
	name string
	call func(context.Context, json.RawMessage) (json.RawMessage, error)
}

// NewFunc returns a function whose arguments are decoded by encoding/json into
// an A, and whose result is encoded from an R. Arguments that do not fit are
// answered without a call of fn. A call without arguments gets the zero A.
//
// fn may be called several times at once. Its context ends with the connection
// and carries the identity of the caller. The caller gets to see the message of a
// [*protocol.Error], and what an error's method PublicMessage() string returns; any
// other error is logged, and the caller learns only that the function failed. The
// same holds for a panic.
func NewFunc[A, R any](name string, fn func(ctx context.Context, args A) (R, error)) *Func {
	return &Func{name: name, call: func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
		var args A
		if err := decode(raw, &args); err != nil {
			return nil, err
		}
		result, err := fn(ctx, args)
		if err != nil {
			return nil, err
		}
		return encode(result, varLevels)
	}}
}

// Name is the function's name on the wire.
func (f *Func) Name() string { return f.name }

// Call runs the function on arguments in JSON; nil for none. An error of the
// function is returned as it is.
func (f *Func) Call(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
	return f.call(ctx, args)
}

// decode decodes arguments. Its errors are fit for the peer.
func decode(raw json.RawMessage, args any) error {
	if len(raw) == 0 {
		return nil
	}
	err := json.NewDecoder(bytes.NewReader(raw)).Decode(args)
	if err == nil {
		return nil
	}
	return &protocol.Error{Code: protocol.Other, Message: "bad arguments: " + complaint(err)}
}

// complaint says what is wrong with arguments without naming types of the
// program.
func complaint(err error) string {
	var mismatch *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &mismatch):
		return "not of the form that the function takes"
	case mismatch.Field == "":
		return fmt.Sprintf("%s does not fit", mismatch.Value)
	default:
		return fmt.Sprintf("%s does not fit %s", mismatch.Value, mismatch.Field)
	}
}
