package view_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

// TestRoleIsChecked refuses at the start what could not be read.
func TestRoleIsChecked(t *testing.T) {
	t.Parallel()
	l := newLive(t, pgtest.New(t))
	l.exec("CREATE TABLE notes (id int PRIMARY KEY, owner text NOT NULL)")
	role := newRole(t, l.pool, "")
	for _, name := range []string{role, "nobody_" + role} {
		l.list(&binding.ListDef{Name: name, Table: "notes", Key: []string{"id"}, Columns: columnsNamed("id"), Role: name, Where: "owner = @me OR owner = 'all'"})
	}
	err := l.engine.Check(t.Context())
	require.ErrorContains(t, err, "needs the right to read all its tables")
	require.ErrorContains(t, err, `take on the role "nobody_`)
}
