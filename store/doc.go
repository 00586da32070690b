// Package store reads and writes the rows of a table as values of a struct, by
// the same tags that package binding publishes lists with:
//
//	db := store.Open(pool)
//	defer db.Close()
//	flights, err := store.New[Flight](ctx, db)
//	…
//	late, err := flights.List(ctx, store.Query{
//		Where: store.And(store.Gte("delay_minutes", 30), store.Eq("gate", "B7")),
//		Order: "-delay_minutes",
//		Limit: 20,
//	})
//
// A [Model] works on an sqlx handle, so that the program's own statements can
// share a connection or a transaction with it; see [Model.With] and [InTx].
// Nothing needs to be told of a write: lists and vars follow the table.
//
// # Names and values
//
// Every value is a bound parameter. Names of tables and columns come from the
// model only; a filter or an order that names another column is an error, so
// their column names may come from a peer.
//
// # Values and Go types
//
// A column is read into every type that a list can read it into. Arrays, uuid,
// numeric, json and the like are decoded by pgx; a type with a Scan method reads
// itself. Types that pgx does not know of itself (arrays of enums, types of
// extensions) need one, or a field of type string. NULL needs a pointer or a
// type such as [database/sql.Null]. Times are in UTC, as lists publish them.
//
// Where the pool does without prepared statements, pgx does not know the type of a
// column that is written: a map or a struct for a json column then needs a Value
// method.
//
// # Errors
//
// Errors name the operation and the table. What Postgres said stays reachable
// as a *[github.com/jackc/pgx/v5/pgconn.PgError] through [errors.As]. Messages
// do not quote values that were read or written; what errors.As and
// [errors.Unwrap] find may, such as the Detail of a PgError.
package store
