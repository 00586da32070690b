package view

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

const makeReadTables = `
CREATE SCHEMA "Odd S";
CREATE TABLE a (id int PRIMARY KEY, n int);
CREATE TABLE b (id int PRIMARY KEY, n int);
CREATE TABLE "Odd S"."T a" (id int PRIMARY KEY);
CREATE TABLE parts (id int, p int, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY LIST (p);
CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES IN (1);
CREATE TABLE old (id int PRIMARY KEY);
CREATE TABLE young (PRIMARY KEY (id)) INHERITS (old);
CREATE VIEW inner_view AS SELECT a.id, b.n FROM a LEFT JOIN b USING (id);
CREATE VIEW outer_view AS SELECT * FROM inner_view WHERE id IN (SELECT id FROM "Odd S"."T a");
CREATE MATERIALIZED VIEW held AS SELECT id FROM a;
CREATE FUNCTION inlined() RETURNS SETOF b LANGUAGE sql STABLE AS $$SELECT * FROM public.b$$;`

// TestReads has queries that read tables which their lists do not follow.
func TestReads(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeReadTables)
	for _, c := range []struct {
		query  string
		tables []string
		want   []string
	}{
		{"SELECT id FROM a", []string{"a"}, nil},
		{"SELECT id FROM a", []string{"public.a", "b"}, nil},
		{"SELECT id FROM a", []string{"b"}, []string{"a"}},
		{"SELECT id FROM a WHERE exists (SELECT FROM b)", []string{"a"}, []string{"b"}},
		{"SELECT id, (SELECT max(n) FROM b) FROM a", []string{"a"}, []string{"b"}},
		{"WITH w AS MATERIALIZED (SELECT * FROM b) SELECT id FROM a JOIN w USING (id)", []string{"a"}, []string{"b"}},
		{"SELECT id FROM a UNION ALL SELECT id FROM b", []string{"b"}, []string{"a"}},
		{"SELECT id FROM outer_view", []string{"a", "b", `"Odd S"."T a"`}, nil},
		{"SELECT * FROM outer_view", []string{"a"}, []string{"b", `"Odd S"."T a"`}},
		{"SELECT id FROM parts", []string{"parts"}, nil},
		{"SELECT id FROM parts", []string{"a"}, []string{"parts_1_1"}},
		{"SELECT id FROM parts_1_1", []string{"parts"}, nil},
		{"SELECT id FROM parts_1", []string{"parts_1"}, nil},
		{"SELECT id FROM old", []string{"old"}, []string{"young"}},
		{"SELECT id FROM held", []string{"a"}, []string{"held"}},
		{"SELECT id FROM inlined()", []string{"a"}, []string{"b"}},
		{"VALUES (1)", []string{"a"}, nil},
		{"SELECT 1 AS id FROM pg_class", []string{"a"}, []string{"pg_class"}},
	} {
		def := &binding.ListDef{Name: "l", Query: c.query}
		for _, table := range c.tables {
			def.Depends = append(def.Depends, binding.Dependency{Table: table})
		}
		read(t, pool, func(ctx context.Context, tx pgx.Tx) {
			err := checkReads(ctx, tx, def)
			if c.want == nil {
				require.NoError(t, err, c.query)
				return
			}
			require.Error(t, err, c.query)
			for _, table := range c.want {
				require.ErrorContains(t, err, "it reads "+table+", changes of which would go unseen: name it in depends", c.query)
			}
		})
	}
}

const makePolicies = `
CREATE ROLE %[1]s;
CREATE TABLE notes (id int PRIMARY KEY, owner text, team int);
CREATE TABLE members (who text, team int, PRIMARY KEY (who, team));
CREATE TABLE teams (id int PRIMARY KEY);
CREATE TABLE others (id int PRIMARY KEY);
CREATE VIEW member_teams AS SELECT who, team FROM members JOIN teams ON id = team;
CREATE TABLE logs (id int, p int, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[1]s;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON notes FOR SELECT USING (exists (
  SELECT FROM member_teams m WHERE m.team = notes.team AND m.who = current_setting('app.user')));
CREATE POLICY write ON notes FOR INSERT WITH CHECK (exists (SELECT FROM others));
CREATE POLICY see ON logs USING (id IN (SELECT team FROM members));`

// TestReadsOfConditions has conditions and policies that read tables which their lists do not follow.
func TestReadsOfConditions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	role := pool.Config().ConnConfig.Database + "_role"
	makeTables(t, pool, fmt.Sprintf(makePolicies, role))
	t.Cleanup(func() { makeTables(t, pool, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	query := "make the list's rows a query, SELECT * FROM notes, and name it in depends"
	for _, c := range []struct {
		def  binding.ListDef
		want []string
	}{
		{binding.ListDef{Table: "notes", Where: "owner = 'x' -- all"}, nil},
		{binding.ListDef{Table: "notes", Where: "owner = @user AND team = ANY(@teams)"}, nil},
		{binding.ListDef{Table: "notes", Where: "exists (SELECT FROM members m WHERE m.team = notes.team AND m.who = @user)"}, []string{"members"}},
		{binding.ListDef{Table: "notes", Where: "team IN (SELECT id FROM teams) OR owner = @user"}, []string{"teams"}},
		{binding.ListDef{Table: "notes", Role: role}, []string{"members", "teams"}},
		{binding.ListDef{Table: "notes"}, nil},
		{binding.ListDef{Table: "logs", Role: role}, []string{"members"}},
		{binding.ListDef{Query: "SELECT * FROM logs", Role: role, Depends: []binding.Dependency{{Table: "logs_1"}, {Table: "members"}}}, nil},
	} {
		read(t, pool, func(ctx context.Context, tx pgx.Tx) {
			err := checkReads(ctx, tx, &c.def)
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Len(t, strings.Split(err.Error(), "\n"), len(c.want), err)
			for _, table := range c.want {
				require.ErrorContains(t, err, "it reads "+table+", changes of which would go unseen: "+strings.ReplaceAll(query, "notes", c.def.Table))
			}
		})
	}
}

// TestRecomputedReads names a table that a list, which is recomputed, lacks.
func TestRecomputedReads(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeReadTables)
	def := &binding.ListDef{Query: "SELECT id FROM a JOIN b USING (id)", Recompute: time.Second, Tables: []string{"b"}}
	read(t, pool, func(ctx context.Context, tx pgx.Tx) {
		require.ErrorContains(t, checkReads(ctx, tx, def), "it reads a, changes of which would go unseen: name it in tables")
	})
	def.Tables = []string{"b", "a"}
	read(t, pool, func(ctx context.Context, tx pgx.Tx) { require.NoError(t, checkReads(ctx, tx, def)) })
}

// TestRemarks has queries that change though no row does.
func TestRemarks(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeReadTables+`
CREATE FUNCTION peek(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$BEGIN RETURN (SELECT max(b.n) FROM b); END$$;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 2 * n; END$$;`)
	const clock = "it calls %s, whose value changes without a change of a row: rows keep what was read when they changed last"
	for query, want := range map[string][]string{
		"SELECT id, n + 1 AS n, lower('now(') AS l, date_trunc('day', '2026-01-01'::timestamptz) FROM a":       nil,
		"SELECT id, now() - interval '1 day' AS at FROM a":                                                     {fmt.Sprintf(clock, "now")},
		"SELECT id FROM a WHERE random() < 0.5 AND n < 5 OR CURRENT_DATE > '2026-01-01'":                       {fmt.Sprintf(clock, "CURRENT_DATE"), fmt.Sprintf(clock, "random")},
		"SELECT id, age('2026-01-01'::timestamp) AS g, age('2026-01-01'::timestamp, '2025-01-01') AS h FROM a": {fmt.Sprintf(clock, "CURRENT_DATE")},
		"SELECT id, (SELECT clock_timestamp()) AS at FROM a":                                                   {fmt.Sprintf(clock, "clock_timestamp")},
		"SELECT id, twice(n) AS n, peek(id) AS p FROM a": {
			"it calls the function peek, which may read tables: changes of those that are not named go unseen",
		},
	} {
		read(t, pool, func(ctx context.Context, tx pgx.Tx) {
			have, err := remarks(ctx, tx, &binding.ListDef{Query: query})
			require.NoError(t, err)
			require.Equal(t, want, have, query)
		})
	}
	read(t, pool, func(ctx context.Context, tx pgx.Tx) {
		have, err := remarks(ctx, tx, &binding.ListDef{Table: "a", Where: "n = peek(id) AND id = @id"})
		require.NoError(t, err)
		require.Len(t, have, 1)
		have, err = remarks(ctx, tx, &binding.ListDef{Table: "a"})
		require.NoError(t, err)
		require.Empty(t, have)
	})
}
