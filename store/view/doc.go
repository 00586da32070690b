// Package view keeps the lists and vars of a database live.
//
// An [Engine] is a [listen.Drainer]: the feed hands it every change inside the
// transaction that the change was read in. A list has views: the standard one, which shows it as it is defined, and one
// for each choice (sort, filter, search) that somebody watches; where what subscribers see depends on their identity, one
// for each choice of each owner. A view holds the
// keys of all its rows in its order (a counted B-tree), so
// that the place of a row is known without asking the database for the rows
// before it. A drain goes through these stages:
//
//  1. keys: which rows of the list may differ. A list of a table has them from the log; of a query over several tables
//     they are found by what refers to the changed rows;
//  2. read: which of these rows exist, and which conditions they meet: one statement for all views of a list, with
//     the values of all choices as parameters (Postgres decides), or one for each owner where policies of the database
//     decide. Views that pin columns to values are found by hashing what a row has there, and by a map of the rows that
//     they had; views that the rows do not concern cost nothing;
//  3. place: all deletes, then the inserts in list order. Where byte order is
//     provably Postgres's order a row carries an encoded key and Go places it;
//     everywhere else Postgres does, by a k-ary search in the same snapshot;
//  4. show: each watched window that the change touched gets its new rows; those
//     whose JSON is not known are read in the same transaction. A window is a page, or what comes after a row, its
//     anchor; an anchor that leaves its place gives way to the row before it;
//  5. commit: windows move on and their subscribers get one step each.
//
// If the transaction does not end well the tree is put back, and the same keys
// come again with the next drain.
//
// A view is loaded on a connection of its own, so that the feed goes on, and
// joins the feed at the next drain. It is loaded again when the past is not known,
// when that is cheaper than placing what changed, and when the database's answers do
// not fit the tree. A list that cannot be read stands still, and is tried again; the
// others go on. A chosen view that nobody watches is let go after a while.
//
// A state of a window is named by its revision: when the engine began, and the number of the drain that led to it. The
// last states of a window are kept, so that a subscriber whose connection was lost gets only the difference.
//
// A list that cannot be followed row by row is recomputed: loaded again as a whole, with all its rows, at most every so often.
//
// A var is the result of a query, which is run again beside the feed when one of its
// tables has changed.
package view
