package view_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// newRole makes a role for the test, and returns its name, which needs no quotes.
func newRole(t *testing.T, pool *pgxpool.Pool, with string) string {
	t.Helper()
	ctx := context.Background()
	var name string
	require.NoError(t, pool.QueryRow(ctx, "SELECT 'r' || oid FROM pg_database WHERE datname = current_database()").Scan(&name))
	name += strings.ToLower(with[:min(1, len(with))])
	_, err := pool.Exec(ctx, "CREATE ROLE "+name+" "+with)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(ctx, "DROP OWNED BY "+name+" CASCADE; DROP ROLE "+name)
		require.NoError(t, err)
	})
	return name
}

// notes is a table of which a role sees, by a policy, what belongs to the user that a setting names or to one of the
// user's teams.
func notes(t *testing.T) (pool *pgxpool.Pool, role string) {
	t.Helper()
	pool = pgtest.New(t, pgtest.MaxConns(6))
	role = newRole(t, pool, "")
	_, err := pool.Exec(context.Background(), `CREATE TABLE notes (id bigint PRIMARY KEY, owner text, body text);
		CREATE TABLE members (team text, member text, PRIMARY KEY (team, member));
		ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = nullif(current_setting('app.me', true), '')
			OR EXISTS (SELECT FROM members WHERE team = owner AND member = current_setting('app.me', true)));
		GRANT SELECT ON notes, members TO `+role)
	require.NoError(t, err)
	return pool, role
}

// noted is what somebody sees of the notes.
func noted(role string) *binding.VarDef {
	return &binding.VarDef{
		Name: "noted", Tables: []string{"notes", "members"}, Role: role, Settings: []binding.Setting{{Name: "app.me", Value: "user"}},
		Query: "SELECT concat_ws(' ', current_user = session_user, current_setting('app.me', true), " +
			"(SELECT string_agg(body, ',' ORDER BY id) FROM notes))",
	}
}

// TestVarUnderPolicy has Postgres decide by a policy what each user sees, while rows and memberships change.
func TestVarUnderPolicy(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	l, sources := varsWith(t, view.Config{Pool: pool}, noted(role))
	l.exec("INSERT INTO notes VALUES (1, 'ann', 'a'), (2, 'bob', 'b'), (3, 'team', 't'), (4, NULL, 'n'), (5, '', 'e')")
	sinks := map[string]*valueSink{}
	const evil = "'; RESET ROLE; SELECT '"
	for _, user := range []string{"ann", "bob", null, "", evil} {
		sinks[user] = followAs(t, sources[0], whose("user", user))
		sinks[user].get()
	}
	sinks["ann"].until(`"f ann a"`)
	sinks["bob"].until(`"f bob b"`)
	sinks[null].until(`"f "`)
	sinks[""].until(`"f "`)
	sinks[evil].until(encode(t, "f "+evil))
	l.exec("UPDATE notes SET owner = 'bob' WHERE id = 1")
	sinks["bob"].until(`"f bob a,b"`)
	sinks["ann"].until(`"f ann"`)
	l.exec("INSERT INTO members VALUES ('team', 'ann')")
	sinks["ann"].until(`"f ann t"`)
	l.exec("TRUNCATE members")
	sinks["ann"].until(`"f ann"`)
	require.Equal(t, []string{"1 \"f bob b\"", "0 \"f bob a,b\""}, sinks["bob"].calls())
	require.Len(t, sinks[null].calls(), 1)
}

// TestRoleAndNoRole has the same statement asked under two roles and as the server, over the same few connections. Nothing of it stays with a connection.
func TestRoleAndNoRole(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	ctx := context.Background()
	_, err := pool.Exec(ctx, fmt.Sprintf(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET app.me = ''bob''', current_database()); END $$;
		CREATE ROLE "Odd "" Role %s"; GRANT SELECT ON notes, members TO "Odd "" Role %[1]s"`, role))
	require.NoError(t, err)
	odd := `Odd " Role ` + role
	t.Cleanup(func() {
		_, err := pool.Exec(ctx, fmt.Sprintf(`DROP OWNED BY "Odd "" Role %s"; DROP ROLE "Odd "" Role %[1]s"`, role))
		require.NoError(t, err)
	})
	config := pool.Config()
	config.MaxConns = 2 // the feed has one
	few, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(few.Close)
	ruled, plain, second := noted(role), noted(""), noted(odd)
	plain.Name, plain.Settings, second.Name = "plain", nil, "odd"
	l, sources := varsWith(t, view.Config{Pool: few}, ruled, plain, second)
	ann, all := followAs(t, sources[0], whose("user", "ann")), followAs(t, sources[1], nil)
	nobody, other := followAs(t, sources[0], whose("user", null)), followAs(t, sources[2], whose("user", "bob"))
	for n := range 8 { // a prepared statement is planned anew for each of five runs
		l.exec("INSERT INTO notes VALUES ($1, 'ann', 'a'), ($1 + 1, 'bob', 'b')", 2*n)
		l.exec("DELETE FROM notes WHERE id < $1", 2*n)
		for _, s := range []*valueSink{ann, all, nobody, other} {
			s.get()
		}
		ann.until(`"f ann a"`)
		all.until(`"t bob a,b"`)
		nobody.until(`"f "`)
		other.until(`"f bob b"`)
	}
	for _, c := range few.AcquireAllIdle(ctx) {
		var user, session, setting string
		require.NoError(t, c.QueryRow(ctx, "SELECT current_user, session_user, current_setting('app.me')").Scan(&user, &session, &setting))
		require.Equal(t, []string{session, "bob"}, []string{user, setting})
		c.Release()
	}
}

// TestSettingsAndNames has values that only the query names, that only settings name, and that both do.
func TestSettingsAndNames(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	def := noted(role)
	def.Params = []string{"x"}
	def.Query = "SELECT concat_ws(' ', current_setting('app.me'), current_setting('app.a'), current_setting('app.b'), @both::text, @query::text, @x::text)"
	def.Settings = append(def.Settings, binding.Setting{Name: "app.a", Value: "both"}, binding.Setting{Name: "app.b", Value: "both"})
	_, sources := varsWith(t, view.Config{Pool: pool}, def)
	s := followAs(t, sources[0], whose("query", "q", "both", "b", "user", "u", "x", "no"))
	s.get(param("x", `"x"`))
	s.until(`"u b b b q x"`)
}

// TestRoleGoesAway has the role lose its right, and go away: values stand still, what is asked meanwhile is refused without
// telling why, and nobody's parameters are to blame.
func TestRoleGoesAway(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	def := noted(role)
	def.Params, def.Query = []string{"x"}, "SELECT (SELECT string_agg(body, ',' ORDER BY id) FROM notes) || @x::int"
	everybody := paramVar("everybody", "SELECT count(*) + @x::int FROM members", "x")
	everybody.Role, everybody.Tables = role, []string{"members"}
	l, sources := varsWith(t, view.Config{Pool: pool}, def, everybody)
	l.exec("INSERT INTO notes VALUES (1, 'ann', 'a')")
	ann, one := followAs(t, sources[0], whose("user", "ann")), followAs(t, sources[1], nil)
	ann.get(param("x", "1"))
	one.get(param("x", "1"))
	ann.until(`"a1"`)
	one.until("1")
	for _, trouble := range []struct{ make, mend string }{
		{"REVOKE SELECT ON notes, members FROM %s", "GRANT SELECT ON notes, members TO %s"},
		{"ALTER ROLE %s RENAME TO gone_%[1]s", "ALTER ROLE gone_%s RENAME TO %[1]s"},
	} {
		l.exec(fmt.Sprintf(trouble.make, role))
		for n, identity := range []window.Identity{whose("user", "ann"), nil} {
			late := followAs(t, sources[n], identity)
			late.get(param("x", "2"))
			late.until("!")
			require.Equal(t, "the var cannot be read now", refusalOf(t, late.err).Message)
			late.sub.Close()
		}
		l.exec(fmt.Sprintf(trouble.mend, role))
		l.exec("UPDATE notes SET body = body || body; INSERT INTO members SELECT count(*), '' FROM members")
	}
	ann.until(`"aaaa1"`)
	one.until("3")
}

// TestCheckRole has roles that are not there, that may not be taken on, that may not read the tables, and that see more
// than may be meant.
func TestCheckRole(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	server := newRole(t, pool, "LOGIN")
	ctx := context.Background()
	_, err := pool.Exec(ctx, "CREATE TABLE other (id bigint PRIMARY KEY); GRANT SELECT ON other TO "+role)
	require.NoError(t, err)
	config := pool.Config()
	config.ConnConfig.User = server
	weak, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(weak.Close)
	var log bytes.Buffer
	check := func(pool *pgxpool.Pool, def *binding.VarDef) error {
		log.Reset()
		e := view.New(&view.Config{Pool: pool, Log: slog.New(slog.NewTextHandler(&log, nil))})
		e.Var(def)
		return e.Check(ctx)
	}
	require.ErrorContains(t, check(pool, noted("nobody")), `take on the role "nobody": ERROR: role "nobody" does not exist`)
	require.ErrorContains(t, check(weak, noted(role)), "must be a member of it")
	_, err = pool.Exec(ctx, "GRANT "+role+" TO "+server)
	require.NoError(t, err)
	require.NoError(t, check(weak, noted(role)), "the server itself may not read the tables")
	require.Empty(t, log.String())

	outside := noted(role)
	outside.Query, outside.Tables = "SELECT count(*) FROM other WHERE id = @user::bigint", []string{"other"}
	require.NoError(t, check(pool, outside))
	require.Contains(t, log.String(), "it sees all rows")
	_, err = pool.Exec(ctx, "REVOKE SELECT ON other FROM "+role)
	require.NoError(t, err)
	require.ErrorContains(t, check(pool, outside), "permission denied for table other (SQLSTATE 42501): GRANT it what the query reads")
	outside.Role = ""
	require.NoError(t, check(pool, outside))
	require.Empty(t, log.String())
	outside.Settings[0].Name = "log_statement" // not one that Validate takes; those of extensions are like it
	require.ErrorContains(t, check(weak, outside), "have the right to make its settings")
	bad := noted(role)
	bad.Query = "SELECT nothing FROM notes"
	require.ErrorContains(t, check(pool, bad), `var "noted": ERROR: column "nothing" does not exist`)
}
