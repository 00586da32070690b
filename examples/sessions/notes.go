package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/server"
)

const schema = `CREATE TABLE IF NOT EXISTS notes (
	id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner text NOT NULL,
	text  text NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_of_owner ON notes (owner, id DESC)`

// note is a row of the list that shows everybody their own: @user_id is the name
// of who is signed in.
type note struct {
	_     struct{} `socksync:"table=notes; list=notes; where=owner = @user_id; order=-id"`
	ID    int64    `db:"id" json:"id" socksync:"pk"`
	Owner string   `db:"owner" json:"-"`
	Text  string   `db:"text" json:"text"`
}

// newNote are the arguments of add_note.
type newNote struct {
	Text string `json:"text"`
}

func definitions(pool *pgxpool.Pool) []binding.Definition {
	addNote := func(ctx context.Context, n newNote) (id int64, err error) {
		who, ok := server.IdentityFrom(ctx).(user)
		if !ok {
			return 0, server.PublicError("sign in first")
		}
		err = pool.QueryRow(ctx, "INSERT INTO notes (owner, text) VALUES ($1, $2) RETURNING id", who.name, n.Text).Scan(&id)
		if err != nil {
			return 0, fmt.Errorf("add a note: %w", err)
		}
		return id, nil
	}
	return []binding.Definition{binding.List[note](), binding.Func("add_note", addNote)}
}
