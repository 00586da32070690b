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
