package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound says that no row has the key.
var ErrNotFound = errors.New("no such row")

var (
	errAmbiguous = errors.New("several rows have this key")
	errNoRow     = errors.New("the row is nil")
	errNotKept   = errors.New("a trigger or rule of the table did not let the row in")
	errNoColumns = errors.New("no columns to write")
)

// hidden is an error whose cause may quote a value, and whose message therefore
// leaves it out.
type hidden struct {
	message string
	cause   error
}

func (e *hidden) Error() string { return e.message }

func (e *hidden) Unwrap() error { return e.cause }

// conceal hides the message of an error in which Postgres or the driver quotes a
// value.
func conceal(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg):
		if strings.HasPrefix(pg.Code, dataException) {
			return &hidden{fmt.Sprintf("a value is not valid (SQLSTATE %s)", pg.Code), err}
		}
	case isEncodeFailure(err):
		return &hidden{"a value does not fit the type of its column", err}
	}
	return err
}

// dataException is the class of SQLSTATE codes of invalid values.
const dataException = "22"

// isEncodeFailure reports whether pgx could not encode an argument. Its message is
// all that tells this error from others.
func isEncodeFailure(err error) bool {
	message := err.Error()
	return strings.Contains(message, "failed to encode ") || strings.Contains(message, "unable to encode ")
}
