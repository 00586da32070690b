package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/socksync/socksync/binding"
)

// function makes a definition callable.
type function struct{ def *binding.FuncDef }

// Name implements peer.Function.
func (f function) Name() string { return f.def.Name }

// Call implements peer.Function.
func (f function) Call(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
	result, err := f.def.Call(ctx, args)
	var misfit *binding.ArgumentError
	if errors.As(err, &misfit) {
		return nil, PublicError(misfit.Error())
	}
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode the result of %s: %w", f.def, err)
	}
	return out, nil
}

// publicError is an error whose message is meant for the peer.
type publicError struct{ message string }

// Error implements error.
func (e publicError) Error() string { return e.message }

// PublicMessage implements peer.PublicError.
func (e publicError) PublicMessage() string { return e.message }

// PublicError returns an error for a function to return whose message the calling
// peer is to see. Of any other error it learns only that the function failed.
func PublicError(message string) error { return publicError{message} }
