// Package migrations puts into a Postgres database what socksync needs there: the schema socksync with the change log,
// and the triggers on the tables that are followed. Nothing is migrated unless one of its functions is called.
//
// [Up] creates the schema and [Down] removes it, [Install] puts the triggers on tables and [Uninstall] takes them off,
// [Status] says what is installed, missing or outdated, and [Grant] lets a role that owns none of it run a server.
// [WriteFiles] writes the same as goose migrations in SQL, for those who ship migrations with their own pipeline.
// Postgres 14 to 18 will do, without extensions and without a superuser.
//
// # Roles
//
// The role that calls Up owns the schema. The role that calls Install must be a member of that owner, and of the owners
// of the tables: only they may make a trigger fire always. Whoever writes to a table needs no rights on the schema. A
// role that runs a server and is no member of the schema's owner needs what Grant gives.
//
// # What triggers do to a table
//
// Each statement that changes rows adds their keys to socksync.change within its own transaction; one that changes none
// adds nothing. Triggers are named zz_socksync_*, so that they come after the table's own. They are statement-level ones
// with transition tables; where those do not see every change, in partitioned tables, partitions, tables that inherit and
// tables that logical replication fills, they are row-level ones. They fire also for sessions in the replica role.
// Legacy-inheritance parents, foreign tables, views and temporary tables are refused, and so is a key that is not unique
// or may be NULL: see [TableError].
//
// The values of further columns are logged behind the key if [Table.Logged] names them, so that the rows of other tables
// are found that refer to a row, or did. An UPDATE that changes one of them logs the row as it was and as it is; one that
// does not costs about as much as without. Each value is written to the log in full, with every change of its row.
//
// While triggers are installed Postgres refuses to change the type of a key column or a logged one or, without CASCADE, to
// drop it: uninstall, alter, and install again. After such a column was renamed, a write logs that everything changed
// until the triggers are installed for the new name. (Row-level triggers of a session that wrote before go on with the
// column that had the name.) A database follows a table by one key, with one list of logged columns: to install for
// others replaces the first ones. Several programs that follow a table share its triggers, so that each installs what all
// of them log.
//
// # The log
//
// A row of socksync.change has
//
//   - xid: the number of the top-level transaction that wrote it, 64 bit;
//   - relation: the oid of the table that was written. Of a partitioned table it is the partition, however the row was
//     written; pg_partition_ancestors leads to the table that was installed;
//   - keys: the texts of the changed keys, columns in the order of [Table.Key], each followed by the logged columns in the
//     order of [Table.Logged]: "=" and the text of a value, or "-" for NULL. A row that holds one key is a
//     one-dimensional array of n elements, n being the number of key and logged columns; one that holds m keys (up to
//     200) is a two-dimensional one, [m][n]. Read as one flat list (as unnest, and pgx into a []string, do) it is always
//     m*n texts, key after key. A key may be there twice, and a key that changed, or a logged value of which changed, is
//     there as it was and as it is. NULL, or an array with a NULL in it, means that any row may have changed; the
//     function socksync.changes gives NULL for both.
//
// The triggers of a table say in their argument which columns they log behind the key.
//
// A text is what the type's input function reads back as the same value, whatever the settings of the session that wrote
// or that reads (save that reading money needs the same lc_monetary): it is written under DateStyle ISO, TimeZone UTC, extra_float_digits 1, bytea_output hex, IntervalStyle
// postgres and lc_monetary C, where one of these matters to the type. It is the value cast to text for types that are
// built in, so that a boolean is true or false and an inet has its length, and what the output function gives for others.
// The names of catalog objects (regclass and so on) are their numbers. Two texts may be one value, such as 1.0 and 1.00.
//
// Nothing is logged past the limit in the sequence socksync.bell, which live feeds push forward, so that a database whose
// servers are gone does not fill up. After Up there is no limit yet, and nothing is logged until a first feed sets one.
package migrations
