// Package listen is the change feed: it finds out which rows of the watched tables were changed by whoever, and hands
// their keys to a [Drainer], inside a transaction in which the Drainer reads the rows.
//
// Triggers (package migrations) write the keys of changed rows to a log, the table socksync.change. A [Feed] reads it on
// one connection of its own, which belongs to one goroutine.
//
// # What is promised
//
//   - Each drain is one REPEATABLE READ transaction. What it hands over is exactly what became visible between its
//     snapshot and that of the last drain that was committed, so that the copies of a Drainer which re-reads these keys
//     go from one state of the database to a later one.
//   - Nothing is lost by an error, by a connection that breaks or by a restart: the position moves only when a drain was
//     committed, and the log is kept.
//   - Where the past cannot be known, after a crash, a failover or a TRUNCATE, the table has [Change.All].
//   - With the keys come the values of other columns that [Table.Logged] names, as they were and as they are, by which a
//     Drainer finds the rows of other tables that a change concerns, or did before it.
//
// # Reading by the difference of two snapshots
//
// The log has no order. A transaction's rows carry its id; the drain at snapshot S reads those that the snapshot of the
// position does not see: ids from xmax on, and the ids that were running. Nothing else is needed, since S itself hides
// what is not committed. So a long transaction holds nothing up, and the order of commits does not matter.
//
// DDL changes rows without triggers, and an old snapshot sees a table that was rewritten as empty. Therefore a
// fingerprint of the catalog is read after each drain that had anything, and before what it staged is published: if the
// fingerprint is what it was before the drain began, the tables were the same from before its snapshot until after its
// last read. Otherwise the drain is repeated, and the altered tables have Change.All.
//
// # The doorbell
//
// A quiet feed sleeps until a NOTIFY. Since NOTIFY makes commits wait for each other, a writer rings only if someone
// sleeps, which a flag outside transactions says: the sequence socksync.bell, in which each sleeping feed has a bit set.
// A trigger first takes a lock on the sequence, which its transaction holds to its end, then reads the flag, then writes
// the log, and then rings if a bit is set. To go to sleep the feed
//
//  1. sets its bit,
//  2. reads from pg_locks the set L of other transactions that hold the lock,
//  3. drains, and if that finds something, clears the bit and does not sleep.
//
// Then it waits for a ring, and for the end of each member of L, after which it drains.
//
// Nobody is missed: a transaction that writes a watched table takes the lock either before step 2 or after it. If
// before, it is in L, or had ended by then and is visible to the drain of step 3; a member of L is waited for. If after
// step 2, it reads the flag later still, when the bit was set long since, and rings when it commits. The ring comes after
// the commit, and one that comes between the drain's snapshot and the wait is not lost, because it is remembered from
// before the snapshot on. (The transactions that the drain's snapshot calls running cannot stand for L: its xmax is the
// latest completed id plus one, and a running transaction may be above it.)
//
// Under load the bit stays clear and the feed looks at the log every 2 to 5 ms. Once a second it looks in any case. With
// max_prepared_transactions above 0 the bell is never used, because a transaction that has rung cannot be prepared; nor
// is it with [Config.PollOnly].
//
// # Epochs
//
// An epoch is a time in which every change was logged. It ends when the server crashes or another one takes its place,
// since the log is unlogged; when the database turns out to be a copy; and when no feed ran for so long that the
// triggers stopped logging (they do so some ten million transactions after the last feed was seen). The feed that finds
// out writes a new id, and all feeds read everything again. A transaction that was writing before the epoch began, or
// that survived the crash prepared, has changes that are in no log: its tables are read again when it ends.
package listen
