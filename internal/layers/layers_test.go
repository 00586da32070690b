package layers_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/socksync/socksync"

// layer is the place of one package of the module. Imports point down only.
type layer struct {
	level int
	// imports are the packages of the module that it may import, besides the helpers.
	imports []string
	// allBelow allows every package of a lower level instead.
	allBelow bool
	// noDatabase says that nothing that it links, directly or not, may know a database.
	noDatabase bool
	// testsOnly says that only tests may import it.
	testsOnly bool
}

// table is the whole module. A name that ends in /* stands for every package in that folder.
var table = map[string]layer{
	".":        {level: 0, noDatabase: true}, // documentation only
	"testdata": {level: 0},                   // embedded files

	"protocol":            {level: 0, noDatabase: true},
	"internal/ranktree":   {level: 0},
	"internal/sortkey":    {level: 0},
	"internal/wsconn":     {level: 0, noDatabase: true},
	"internal/lifecycle":  {level: 0, noDatabase: true},
	"internal/backoff":    {level: 0, noDatabase: true},
	"internal/localpg":    {level: 0},
	"internal/localredis": {level: 0},
	"internal/headless":   {level: 0, noDatabase: true, testsOnly: true},
	"internal/layers":     {level: 0},
	"internal/sqltext":    {level: 0, noDatabase: true},

	"binding":         {level: 1},
	"internal/window": {level: 1, imports: []string{"protocol"}, noDatabase: true},
	"internal/pgtest": {level: 1, imports: []string{"internal/localpg"}, testsOnly: true},

	"migrations":      {level: 2, imports: []string{"binding"}},
	"listen":          {level: 2, imports: []string{"binding"}},
	"internal/choice": {level: 2, imports: []string{"binding", "internal/window"}},
	"internal/peer": {
		level: 2, noDatabase: true,
		imports: []string{"protocol", "internal/window", "internal/wsconn"},
	},

	"store": {level: 3, imports: []string{"binding"}},
	"store/view": {
		level: 3,
		imports: []string{
			"binding", "listen", "internal/choice", "internal/window", "internal/ranktree", "internal/sortkey",
		},
	},
	"memory":          {level: 3, imports: []string{"protocol", "internal/window", "internal/peer"}, noDatabase: true},
	"client":          {level: 3, imports: []string{"protocol", "internal/peer"}, noDatabase: true},
	"broadcast":       {level: 3, imports: []string{"protocol", "internal/window"}, noDatabase: true},
	"broadcast/redis": {level: 3, imports: []string{"protocol", "internal/window"}, noDatabase: true},

	"server":           {level: 4, allBelow: true},
	"auth/*":           {level: 5, allBelow: true},
	"cmd/socksync":     {level: 5, allBelow: true},
	"internal/example": {level: 5, allBelow: true},
	"examples/*":       {level: 6, allBelow: true},
}

// helpers know nothing of the project, so that every package above them may use them.
var helpers = []string{"internal/lifecycle", "internal/backoff", "internal/sqltext"}

// databases are the import paths of what talks to a database, with all below them.
var databases = []string{"database/sql", "github.com/jackc/pgx", "github.com/jmoiron/sqlx", "github.com/pressly/goose"}

// find returns the layer of a package by its path in the module.
func find(name string) (layer, bool) {
	if l, ok := table[name]; ok {
		return l, true
	}
	for pattern, l := range table {
		if folder, ok := strings.CutSuffix(pattern, "/*"); ok && strings.HasPrefix(name, folder+"/") {
			return l, true
		}
	}
	return layer{}, false
}

// allows says whether a package of this layer may import the named one.
func (l layer) allows(name string) bool {
	to, known := find(name)
	switch {
	case !known || to.testsOnly || to.level >= l.level:
		return false
	case l.allBelow || slices.Contains(helpers, name):
		return true
	default:
		return slices.Contains(l.imports, name)
	}
}

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Imports    []string // of the package without its tests
	Deps       []string // the same with all that they import
}

// list returns the packages of the module by their path in it.
func list(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	packages := make(map[string]listed)
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages[within(p.ImportPath)] = p
	}
}

// within returns the path of a package in the module, or "" for one of another module.
func within(importPath string) string {
	if importPath == module {
		return "."
	}
	name, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return name
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	packages := list(t)
	require.Contains(t, packages, "internal/layers", "go list shows the module")
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		from, known := find(name)
		if !known {
			t.Errorf("%s is not in the table of this test: give it a level", name)
			continue
		}
		for _, path := range packages[name].Imports {
			if to := within(path); to != "" && !from.allows(to) {
				t.Errorf("%s (level %d) may not import %s", name, from.level, to)
			}
		}
	}
}

func TestClientSideLinksNoDatabase(t *testing.T) {
	t.Parallel()
	for name, p := range list(t) {
		from, _ := find(name)
		if !from.noDatabase {
			continue
		}
		for _, dep := range p.Deps {
			if isDatabase(dep) {
				t.Errorf("%s links %s", name, dep)
			}
		}
	}
}

func isDatabase(path string) bool {
	return slices.ContainsFunc(databases, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
}

// The table itself must not allow what the levels forbid.
func TestTable(t *testing.T) {
	t.Parallel()
	for name, l := range table {
		for _, to := range l.imports {
			require.True(t, l.allows(to), "%s is listed for %s but does not lie below it", to, name)
		}
	}
	server, _ := find("server")
	client, _ := find("client")
	require.True(t, server.allows("store/view"))
	require.False(t, server.allows("internal/pgtest"), "only tests import it")
	require.False(t, server.allows("examples/dashboard"), "upwards")
	require.False(t, client.allows("listen"), "below, but not listed")
	require.True(t, client.allows("internal/lifecycle"), "a helper")
	require.True(t, isDatabase("github.com/jackc/pgx/v5/pgxpool"))
	require.False(t, isDatabase("database/sql2"))
}
