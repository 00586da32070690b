package server

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// SetDrainHook has a function called at the end of each drain, inside its transaction, with the sequence of the
// revisions that it leads to. It comes before Start.
func SetDrainHook(s *Server, fn func(ctx context.Context, tx pgx.Tx, sequence uint64) error) {
	s.engine.Inspect(fn)
}

// IdentityTexts are what lists and vars are given of an identity.
func IdentityTexts(identity Identity) (map[string]*string, error) { return identityValues(identity) }

// SameOwner reports whether one identity counts as the same as another one.
func SameOwner(a, b Identity) bool { return owner{a}.Same(owner{b}) }
