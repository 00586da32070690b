package view_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// null is the value of an identity that is NULL.
const null = "\x00"

// whose makes an identity of names and values.
func whose(pairs ...string) window.Identity {
	identity := window.Identity{}
	for i := 0; i < len(pairs); i += 2 {
		identity[pairs[i]] = nil
		if pairs[i+1] != null {
			identity[pairs[i]] = &pairs[i+1]
		}
	}
	return identity
}

// followAs is followValue for somebody.
func followAs(t testing.TB, source window.ValueSource, identity window.Identity) *valueSink {
	t.Helper()
	require.NoError(t, source.(window.Restricted).Permits(identity))
	s := &valueSink{t: t, wake: make(chan struct{})}
	s.sub = source.Subscribe(s, window.Options{Identity: identity})
	t.Cleanup(s.sub.Close)
	return s
}

// ownSum is the sum of the rows whose id ends with the digit that belongs to somebody.
func ownSum() *binding.VarDef {
	return paramVar("own", "SELECT coalesce(sum(v), 0)::bigint FROM numbers WHERE id % 10 = @digit::int")
}

// TestVarOfIdentity has subscribers with equal and with different identities, of whom some never ask, as version 1 has it.
// Rows move from one to the other.
func TestVarOfIdentity(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	l, sources := varsWith(t, view.Config{Pool: pool}, ownSum())
	l.change("INSERT INTO numbers VALUES (1, 5), (11, 6), (2, 7)")
	one, same := followAs(t, sources[0], whose("digit", "1", "other", "x")), followAs(t, sources[0], whose("digit", "1"))
	two, nobody := followAs(t, sources[0], whose("digit", "2")), followAs(t, sources[0], whose("digit", null))
	one.get()
	one.until("11")
	same.get()
	same.until("11")
	nobody.get()
	nobody.until("0")
	require.Equal(t, 4, l.engine.Followers("own"), "who never asks follows it too")
	require.Equal(t, 1, ran.of("1"))
	require.Equal(t, view.VarHeld{Instances: 3, All: 3}, l.engine.VarHeld("own"))

	require.Eventually(t, func() bool { return ran.of("2") == 1 && l.engine.FreeTurns() == 3 }, patience, patience/10_000)
	l.change("UPDATE numbers SET id = 12 WHERE id = 11")
	one.until("5")
	same.until("5")
	two.until("13")
	require.Equal(t, 2, ran.of("1"))
	l.change("DELETE FROM numbers WHERE id = 12")
	two.until("7")
	require.Equal(t, []string{"0 13", "0 7"}, two.calls())
	require.Equal(t, []string{"1 11", "0 5"}, one.calls(), "what others lose is nobody else's affair")
	require.Equal(t, []string{"1 0"}, nobody.calls())
}

// TestVarOfOwnRow follows a row, and a column, that who subscribes is to be found by.
func TestVarOfOwnRow(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t)}, binding.Var[board](binding.Where("id = @me -- own")),
		binding.Var[*int64](binding.Name("column"), binding.Table("numbers"), binding.Select("v"), binding.Where("id = @me")))
	row, column, other := followAs(t, sources[0], whose("me", "1")), followAs(t, sources[1], whose("me", "1")), followAs(t, sources[1], whose("me", "2"))
	for _, s := range []*valueSink{row, column, other} {
		s.get()
		s.until("null")
	}
	l.exec("INSERT INTO numbers VALUES (1, 5), (2, 6)")
	row.until(`{"id":1,"v":5,"since":null}`)
	column.until("5")
	other.until("6")
	l.exec("DELETE FROM numbers WHERE id = 2; UPDATE numbers SET id = 2")
	row.until("null")
	other.until("5")
}

// TestIdentityAndParams has all combinations of awkward values of two names of the identity and a parameter: each has its
// own value.
func TestIdentityAndParams(t *testing.T) {
	t.Parallel()
	def := paramVar("v", "SELECT concat_ws('|', coalesce(@x, 'NULL'), coalesce(@b, 'NULL'), coalesce(@a, 'NULL'))", "x")
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: time.Hour}, def)
	texts := []string{null, "", "-", "1", "1:1", "0:"}
	count := 0
	for _, a := range texts {
		for _, b := range texts {
			s := followAs(t, sources[0], whose("a", a, "b", b, "x", "not the parameter"))
			for _, x := range texts {
				s.get(param("x", asJSON(t, x)))
				s.until(encode(t, strings.ReplaceAll(x+"|"+b+"|"+a, null, "NULL")))
				count++
			}
		}
	}
	require.Equal(t, count, l.engine.VarHeld("v").Instances)
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	if text == null {
		return "null"
	}
	return encode(t, text)
}

// TestIdentityIsNotChosen tries to choose values of the identity by a filter. What is told is what is told of a name that
// there is not.
func TestIdentityIsNotChosen(t *testing.T) {
	t.Parallel()
	def := paramVar("v", "SELECT @user || @x", "x")
	def.Role, def.Settings = "pg_read_all_data", []binding.Setting{{Name: "app.tenant", Value: "tenant"}}
	_, sources := varsWith(t, view.Config{Pool: boards(t)}, def)
	s := followAs(t, sources[0], whose("user", "ann", "tenant", "t"))
	for _, name := range []string{"user", "tenant", "app.tenant", "nothing"} {
		s.get(param("x", `"!"`), param(name, `"bob"`))
		s.answered()
		require.Equal(t, "filter: "+name+": the var has no such parameter", refusalOf(t, s.err).Message)
	}
	s.get(param("x", `"!"`))
	s.until(`"ann!"`)
}

// TestPermits has identities that lack something. They are not permitted; one who subscribes all the same sees nothing.
func TestPermits(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	def := paramVar("v", "SELECT @user::text IS NULL OR @x::int > 0", "x")
	plain := paramVar("plain", "SELECT @user::text IS NULL")
	plain.Role, plain.Settings = "pg_read_all_data", []binding.Setting{{Name: "app.tenant", Value: "tenant"}}
	l, sources := varsWith(t, view.Config{Pool: pool}, def, plain, paramVar("all", "SELECT 1"))
	permits := func(n int, identity window.Identity) error {
		return sources[n].(window.Restricted).Permits(identity)
	}
	require.NoError(t, permits(0, whose("user", null)))
	require.NoError(t, permits(1, whose("user", "", "tenant", "")))
	require.NoError(t, permits(2, nil))
	require.EqualError(t, permits(0, whose("x", "1", "tenant", "1")), `var "v" needs the value "user", which the identity does not have`)
	require.EqualError(t, permits(1, whose("user", "1")), `var "plain" needs the value "tenant", which the identity does not have`)
	require.Error(t, permits(1, nil))
	before := ran.of(nil, nil) + ran.of(nil) // the check of the role
	for _, source := range sources[:2] {
		s := followValue(t, source)
		s.get()
		s.until("!")
		require.Equal(t, "forbidden", refusalOf(t, s.err).Message)
	}
	l.change("INSERT INTO numbers VALUES (1)")
	require.Zero(t, l.engine.Followers("v")+l.engine.Followers("plain"))
	require.Equal(t, before, ran.of(nil, nil)+ran.of(nil))
}

// former is a subscription that another one takes the place of.
type former struct{ window.ValueSubscription }

func (former) Get(window.Want) {}
func (former) Leave()          {}

// TestVarInstead has the identity of a subscriber change to one that is as good, and to another one.
func TestVarInstead(t *testing.T) {
	t.Parallel()
	pool, ran := traced(t, boards(t))
	l, sources := varsWith(t, view.Config{Pool: pool, Grace: time.Hour}, ownSum())
	l.change("INSERT INTO numbers VALUES (1, 5), (2, 7)")
	old := followAs(t, sources[0], whose("digit", "1"))
	old.get()
	old.until("5")
	for n, want := range []string{"5", "7"} {
		s := &valueSink{t: t, wake: make(chan struct{})}
		s.sub = sources[0].Subscribe(s, window.Options{Identity: whose("digit", fmt.Sprint(n+1), "expires", fmt.Sprint(n)), Instead: former{old.sub}})
		t.Cleanup(s.sub.Close)
		s.get()
		s.until(want)
		require.Equal(t, 1, l.engine.Followers("own"))
		old = s
	}
	require.Equal(t, 1, ran.of("1"), "the value was known")
	l.change("UPDATE numbers SET v = 0")
	old.until("0")
	require.Equal(t, []string{"1 7", "0 0"}, old.calls())
}

// TestIdentityIsNotBlamed has values of the identity that Postgres does not take, and parameters that it does not take.
// Who is told which, and nothing of the identity.
func TestIdentityIsNotBlamed(t *testing.T) {
	t.Parallel()
	const query = "SELECT count(*)::int FROM numbers WHERE id = @secret_id::bigint AND v::text ~ @secret_pattern AND v < @most::int"
	plain := paramVar("plain", "SELECT @secret_id::bigint")
	l, sources := varsWith(t, view.Config{Pool: boards(t)}, paramVar("v", query, "most"), plain)
	l.exec("INSERT INTO numbers VALUES (1, 50)")
	const unreadable, params = "the var cannot be read now", `filter: var "v" cannot be read with these parameters`
	for _, c := range []struct{ id, pattern, most, want string }{
		{"1", "^5", "100", ""},
		{"1", "^5", `"many"`, params},
		{"one", "^5", "100", unreadable},
		{"one", "^5", `"many"`, unreadable},
		{"one", "^5", "null", unreadable},
		{"1", "(", "100", unreadable},
		{"99999999999999999999", "", "100", unreadable},
		{"1\x00", "", "100", unreadable},
		{"1", "\xff", "100", unreadable},
		{null, null, `"many"`, params},
		{null, null, "1", ""},
	} {
		s := followAs(t, sources[0], whose("secret_id", c.id, "secret_pattern", c.pattern))
		s.get(param("most", c.most))
		s.answered()
		if c.want == "" {
			require.NoError(t, s.err)
		} else {
			require.Equal(t, c.want, refusalOf(t, s.err).Message, "%q", c)
		}
		s.sub.Close()
	}
	s := followAs(t, sources[1], whose("secret_id", "one"))
	s.get()
	s.until("!")
	require.Equal(t, unreadable, refusalOf(t, s.err).Message)
}

// TestRoomForIdentities opens as many values as there may be. One more is refused, and told as soon as there is room.
func TestRoomForIdentities(t *testing.T) {
	t.Parallel()
	l, sources := varsWith(t, view.Config{Pool: boards(t), Grace: time.Hour, MaxVarInstances: 2}, ownSum())
	l.change("INSERT INTO numbers VALUES (3, 7)")
	one, two := followAs(t, sources[0], whose("digit", "1")), followAs(t, sources[0], whose("digit", "2"))
	two.get()
	two.until("0")
	require.Equal(t, 2, l.engine.VarHeld("own").Instances)
	asks, silent, gone := followAs(t, sources[0], whose("digit", "3")), followAs(t, sources[0], whose("digit", "3")), followAs(t, sources[0], whose("digit", "4"))
	asks.get()
	asks.until("!")
	gone.get()
	gone.until("!")
	gone.sub.Close()
	bad := followAs(t, sources[0], whose("digit", "2"))
	bad.get(param("digit", "2"))
	bad.until("!")
	one.sub.Close()
	asks.until("7") // without asking again
	l.change("UPDATE numbers SET v = 8")
	asks.until("8")
	silent.until("8")
	require.Equal(t, []string{"1 too many values of vars with parameters are followed; try again later", "0 7", "0 8"}, asks.calls())
	require.Len(t, silent.calls(), 1)
	require.Len(t, bad.calls(), 1, "a mistake is owed nothing")
	require.Equal(t, view.VarHeld{Instances: 2, All: 2}, l.engine.VarHeld("own"))
	for _, s := range []*valueSink{two, asks, silent, bad} {
		s.sub.Close()
	}
	require.Equal(t, view.VarHeld{Instances: 2, All: 2, Idle: 2}, l.engine.VarHeld("own"), "they are let go after the time of grace")
}

// TestRoomIsTakenByAnother has room for a value that was refused be taken by somebody who asks for the same: who was
// refused is told when it comes to that.
func TestRoomIsTakenByAnother(t *testing.T) {
	t.Parallel()
	config := view.Config{Pool: boards(t), Grace: time.Hour, MaxVarInstances: 1, Retry: 2 * time.Second} // mostly later than the other
	l, sources := varsWith(t, config, ownSum())
	l.change("INSERT INTO numbers VALUES (3, 7)")
	first, refused := followAs(t, sources[0], whose("digit", "1")), followAs(t, sources[0], whose("digit", "3"))
	refused.get()
	refused.until("!")
	first.sub.Close()
	another := followAs(t, sources[0], whose("digit", "3"))
	another.get()
	another.until("7")
	refused.until("7")
	require.Equal(t, 2, l.engine.Followers("own"))
}
