package binding_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// booking is a row of which the subscriber sees its own.
type booking struct {
	_        struct{} `socksync:"table=bookings; list=my_flights; where=user_name = @user; role=App_User; settings=app.user @user, app.Tenant @tenant_id"`
	UserName string   `db:"user_name" json:"-" socksync:"pk"`
	FlightID int64    `db:"flight_id" json:"flight_id" socksync:"pk"`
}

func TestIdentityByTags(t *testing.T) {
	t.Parallel()
	d := binding.List[booking]()
	require.NoError(t, d.Validate())
	require.Equal(t, "user_name = @user", d.Where)
	require.Equal(t, []string{"tenant_id", "user"}, d.IdentityNames())
	require.Equal(t, []string{"user_name"}, d.BoundKey())
	require.Equal(t, "app_user", d.Role)
	require.Equal(t, []binding.Setting{{Name: "app.user", Value: "user"}, {Name: "app.Tenant", Value: "tenant_id"}}, d.Settings)

	d = binding.List[booking](binding.Role(`"Odd ""Role"`, " a.b\t@c "))
	require.NoError(t, d.Validate())
	require.Equal(t, `Odd "Role`, d.Role)
	require.Equal(t, []binding.Setting{{Name: "a.b", Value: "c"}}, d.Settings)

	d = binding.List[booking](binding.Role("r"))
	require.NoError(t, d.Validate())
	require.Empty(t, d.Settings, "the tag's are another role's")

	v := binding.Var[int](binding.Name("x"), binding.Query("SELECT @b + @a + @b", "t"), binding.Params("a"), binding.Role("r", "x.y @c"))
	require.NoError(t, v.Validate())
	require.Equal(t, "r", v.Role)
	require.Equal(t, []binding.Setting{{Name: "x.y", Value: "c"}}, v.Settings)
	require.Equal(t, []string{"b", "c"}, v.IdentityNames())
	v = binding.Var[booking](binding.Name("x"), binding.Where("user_name = @me"))
	require.NoError(t, v.Validate())
	require.Equal(t, "app_user", v.Role, "a role guards the rows however they are read")
	require.Equal(t, []string{"me", "tenant_id", "user"}, v.IdentityNames())
	require.Empty(t, v.Params)
}

func TestIdentityNames(t *testing.T) {
	t.Parallel()
	require.Nil(t, (&binding.ListDef{}).IdentityNames())
	require.Nil(t, (&binding.VarDef{Query: "SELECT @a", Params: []string{"a"}}).IdentityNames())
	list := &binding.ListDef{Where: "b = @b AND '@c' = @a OR @b > @ d", Settings: []binding.Setting{{Value: "z"}, {Value: "a"}}}
	require.Equal(t, []string{"a", "b", "z"}, list.IdentityNames())
}

func TestBoundKey(t *testing.T) {
	t.Parallel()
	for where, want := range map[string][]string{
		"":                                 nil,
		"a = @x":                           {"a"},
		"@x = A AND d > 1":                 {"a"},
		`d > 1 AND ("b" = @y) AND a = @x`:  {"a", "b"},
		"b = @y AND d = @x AND (a) = (@x)": {"b"},
		"a = @x OR b = @y":                 nil,
		"a = @x AND b = @y AND c = @z":     nil, // nothing would be left
		"t.a = @x":                         nil,
		"a = 1":                            nil,
	} {
		d := &binding.ListDef{Key: []string{"a", "b", "c"}, Where: where}
		require.Equal(t, want, d.BoundKey(), where)
	}
}

func TestBoundKeyNeedNotBePublished(t *testing.T) {
	t.Parallel()
	const hidden = `primary key: column "user_name" is not published`
	for where, want := range map[string][]string{
		"user_name = @user":                         nil,
		"user_name = @user AND flight_id > 7":       nil,
		"user_name = @user OR flight_id = 7":        {hidden},
		"user_name = 'ann'":                         {hidden},
		"flight_id = @flight":                       {hidden},
		"user_name = @user AND flight_id = @flight": {hidden},
	} {
		require.Equal(t, want, problems(t, binding.List[booking](binding.Where(where)).Validate()), where)
	}
}

func TestWhereMistakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	for where, want := range map[string]string{
		"id = @a AND tags <@ @b AND @ id > 1 AND '@C' = name": "",
		"-- nothing":             "where is empty",
		"tags <@b":               "where: a space is missing before @b, or behind the @ if it is an operator",
		"id = @User":             `where: "User" is not a name of lower-case letters a to z, digits and underscores (behind an operator @ belongs a space)`,
		"id = @" + long:          `where: the name "` + long + `" is longer than 63 bytes (behind an operator @ belongs a space)`,
		"id = $1":                "where: it has $ and a number: values are named, as in @name",
		"name = '\xff'":          "where: not valid UTF-8",
		"id = @a) OR (true":      "where: its brackets do not match",
		"id = @a; DROP TABLE t":  "where: it has a semicolon",
		"id = @a AND name = 'x":  "where: a quote is not closed",
		"id = @a AND name = /* ": "where: a comment is not closed",
	} {
		var expected []string
		if want != "" {
			expected = []string{want}
		}
		d := &binding.ListDef{
			Name: "x", Table: "t", Where: where, Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}},
		}
		require.Equal(t, expected, problems(t, d.Validate()), where)
		isVar := binding.Var[int](binding.Name("x"), binding.Table("t"), binding.Select("id"), binding.Where(where)).Validate()
		if want == "" {
			require.NoError(t, isVar)
			continue
		}
		got := mistakes(t, isVar)
		require.NotEmpty(t, got, where)
		require.NotContains(t, got[0].Option, "Select", where)
	}
}

func TestRoleMistakes(t *testing.T) {
	t.Parallel()
	setting := func(name, value string) []binding.Setting { return []binding.Setting{{Name: name, Value: value}} }
	for _, tc := range []struct {
		name     string
		role     string
		settings []binding.Setting
		want     []string
	}{
		{"alone", "app user", nil, nil},
		{"both", "r", setting("app._x1$.y", "z_9"), nil},
		{"no role", "", setting("app.x", "x"), []string{"settings: missing role: policies seldom hold for the server's own"}},
		{"none", "none", nil, []string{`role: "none" is not a role: Postgres takes it for the server's own`}},
		{"bad", "a\x00", nil, []string{`role: the name "a\x00" holds a zero byte`}},
		{"no dot", "r", setting("role", "x"), []string{`settings: "role" is not a name with a dot, as in app.user_id`}},
		{"nothing behind", "r", setting("app.", "x"), []string{`settings: "app." is not a name with a dot, as in app.user_id`}},
		{"nothing before", "r", setting(".app", "x"), []string{`settings: ".app" is not a name with a dot, as in app.user_id`}},
		{"white space", "r", setting("app.x\n", "x"), []string{`settings: "app.x\n" is not a name with a dot, as in app.user_id`}},
		{"digit", "r", setting("app.1", "x"), []string{`settings: "app.1" is not a name with a dot, as in app.user_id`}},
		{"no value", "r", setting("app.x", ""), []string{`settings: "app.x": no value`}},
		{"bad value", "r", setting("app.x", "X"), []string{
			`settings: "app.x": "X" is not a name of lower-case letters a to z, digits and underscores`,
		}},
		{"twice", "r", []binding.Setting{{"app.x", "x"}, {"App.X", "y"}}, []string{`settings: repeated setting "App.X"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			list := &binding.ListDef{
				Name: "x", Table: "t", Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}}, Role: tc.role, Settings: tc.settings,
			}
			require.Equal(t, tc.want, problems(t, list.Validate()))
			value := &binding.VarDef{Name: "x", Query: "SELECT 1", Tables: []string{"t"}, Role: tc.role, Settings: tc.settings}
			require.Equal(t, tc.want, problems(t, value.Validate()))
		})
	}
}

func TestRoleOptionMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		option binding.Option
		call   string
		want   string
	}{
		{binding.Role(""), `Role("")`, "empty"},
		{binding.Role("", "a.b @c"), `Role("", "a.b @c")`, "empty"},
		{binding.Role("a b"), `Role("a b")`, `role: unexpected " b" after the name`},
		{binding.Role("r", "a.b"), `Role("r", "a.b")`, `settings: "a.b": want name @value, as in app.user_id @user_id`},
		{binding.Role("r", "a.b c"), `Role("r", "a.b c")`, `settings: "a.b c": want name @value, as in app.user_id @user_id`},
		{binding.Role("r", "a.b @"), `Role("r", "a.b @")`, `settings: "a.b": no value`},
		{binding.Role("r", "a.b @c @d"), `Role("r", "a.b @c @d")`, `settings: "a.b @c @d": want name @value, as in app.user_id @user_id`},
		{binding.Role("r", "ab @c"), `Role("r", "ab @c")`, `settings: "ab" is not a name with a dot, as in app.user_id`},
	} {
		require.Equal(t, []binding.DefinitionError{{
			Definition: `list "my_flights"`, Struct: "binding_test.booking", Option: tc.call, Problem: tc.want,
		}}, mistakes(t, binding.List[booking](tc.option).Validate()), tc.call)
	}
}
