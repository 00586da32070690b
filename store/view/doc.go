// Package view keeps the lists and vars of a database live.
//
// An [Engine] is a [listen.Drainer]: the feed hands it every change inside the
// transaction that the change was read in. For each list it holds a view, the
// keys of all rows of the list in the list's own order (a counted B-tree), so
// that the place of a row is known without asking the database for the rows
// before it. A drain goes through these stages:
//
//  1. read: which of the changed rows are in the list now (Postgres decides);
//  2. place: all deletes, then the inserts in list order. Where byte order is
//     provably Postgres's order a row carries an encoded key and Go places it;
//     everywhere else Postgres does, by a k-ary search in the same snapshot;
//  3. show: each watched window that the change touched gets its new rows; those
//     whose JSON is not known are read in the same transaction;
//  4. commit: windows move on and their subscribers get one step each.
//
// If the transaction does not end well the tree is put back, and the same keys
// come again with the next drain.
//
// A view is loaded on a connection of its own, so that the feed goes on, and
// joins the feed at the next drain. It is loaded again when the past is not known,
// when that is cheaper than placing what changed, and when the database's answers do
// not fit the tree. A list that cannot be read stands still, and is tried again; the
// others go on.
//
// A var is the result of a query, which is run again beside the feed when one of its
// tables has changed.
package view
