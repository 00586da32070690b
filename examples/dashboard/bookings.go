package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/server"
)

// user is the identity of a connection: who has signed in, by name. It is no more than
// the demo needs: whoever says a name is believed.
type user string

// IdentityValues implements server.Valuer.
func (u user) IdentityValues() map[string]any { return map[string]any{"user": string(u)} }

// authenticate finds who has signed in, by ?user=NAME. Nobody has to.
func authenticate(r *http.Request) (server.Identity, error) {
	name := r.URL.Query().Get("user")
	switch {
	case name == "":
		return nil, nil //nolint:nilnil // nobody, who is let in
	case len(name) > maxName, !utf8.ValidString(name), strings.ContainsRune(name, 0):
		return nil, fmt.Errorf("user %.50q...: it is no name of up to %d bytes", name, maxName)
	}
	return user(name), nil
}

var errNobody = server.PublicError("sign in first")

// booking are the arguments of book_flight and cancel_flight.
type booking struct {
	ID *int64 `json:"id"`
}

// A flight that is being deleted is waited for: it is there, or it is not.
const bookQuery = `
WITH f AS (SELECT * FROM flights WHERE id = $2 FOR KEY SHARE),
  made AS (INSERT INTO bookings SELECT $1, id FROM f ON CONFLICT DO NOTHING)
SELECT ` + bookedFlight + ` FROM f, (VALUES ($1::text, $2::bigint)) b (user_name, flight_id)`

const cancelQuery = `
DELETE FROM bookings b USING flights f WHERE b.user_name = $1 AND b.flight_id = $2 AND f.id = b.flight_id RETURNING ` + bookedFlight

// bookFlight books a flight for the user who calls it, and returns it. Twice is as good as once.
func bookFlight(ctx context.Context, pool *pgxpool.Pool, b booking) (MyFlight, error) {
	return rebook(ctx, pool, bookQuery, b, "there is no flight %d")
}

// cancelFlight undoes that.
func cancelFlight(ctx context.Context, pool *pgxpool.Pool, b booking) (MyFlight, error) {
	return rebook(ctx, pool, cancelQuery, b, "you have not booked flight %d")
}

// rebook makes a change to the bookings of the user who calls it. none says that there was nothing to change.
func rebook(ctx context.Context, pool *pgxpool.Pool, sql string, b booking, none string) (MyFlight, error) {
	who, signedIn := server.IdentityFrom(ctx).(user)
	if !signedIn {
		return MyFlight{}, errNobody
	}
	if b.ID == nil {
		return MyFlight{}, server.PublicError("an id is needed")
	}
	rows, err := pool.Query(ctx, sql, string(who), *b.ID)
	if err != nil {
		return MyFlight{}, err
	}
	flight, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[MyFlight])
	if errors.Is(err, pgx.ErrNoRows) {
		return MyFlight{}, server.PublicError(fmt.Sprintf(none, *b.ID))
	}
	return flight, err
}
