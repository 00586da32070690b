package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// small is a type with a Scan of its own, which takes what fits.
type small int8

// Scan implements sql.Scanner.
func (s *small) Scan(value any) error {
	if value == nil {
		return nil
	}
	if value == "13" {
		panic("superstition")
	}
	_, err := fmt.Sscan(fmt.Sprint(value), (*int8)(s))
	return err
}

// moody is a text that is not always willing to be JSON.
type moody string

// MarshalJSON implements json.Marshaler.
func (m moody) MarshalJSON() ([]byte, error) {
	switch m {
	case "fail":
		return nil, errors.New("not today")
	case "panic":
		panic("today neither")
	case "nonsense":
		return []byte("{"), nil
	}
	return json.Marshal(string(m))
}

// fragile has a column for each way in which a row cannot be published.
type fragile struct {
	_       struct{}        `socksync:"table=fragile; list=fragile; order=id"`
	ID      int64           `db:"id" json:"id" socksync:"pk"`
	Code    string          `db:"code" json:"the code" socksync:"pk"`
	Part    int16           `db:"part" json:"part" socksync:"pk"`
	Count   int32           `db:"count" json:"count"`
	Size    small           `db:"size" json:"size"`
	Ratio   float64         `db:"ratio" json:"ratio"`
	Mood    moody           `db:"mood" json:"mood"`
	Details json.RawMessage `db:"details" json:"details"`
}

const fragileTable = `CREATE TABLE fragile (id bigint, code text, part smallint, count int, size numeric DEFAULT 1,
	ratio float8 DEFAULT 0.5, mood text DEFAULT 'well', details jsonb DEFAULT '{}', PRIMARY KEY (id, code, part));
INSERT INTO fragile SELECT g, 'c', g, g FROM generate_series(1, 20) g;`

// deepJSON is an array in an array, and so on.
func deepJSON(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// fragileKeys is row 7 with its key columns only.
const fragileKeys = `{"id":7,"the code":"c","part":7}`

// wholeWith is row 7 with one value of its own.
func wholeWith(field, value string) string {
	text := `{"id":7,"the code":"c","part":7`
	for _, f := range [][2]string{{"count", "7"}, {"size", "1"}, {"ratio", "0.5"}, {"mood", `"well"`}, {"details", "{}"}} {
		if f[0] == field {
			f[1] = value
		}
		text += fmt.Sprintf(`,%q:%s`, f[0], f[1])
	}
	return text + "}"
}

// breaks are changes of row 7, one after the other, and what is published then.
var breaks = []struct{ set, want string }{
	{"count = NULL", fragileKeys},
	{"count = 7", wholeWith("", "")},
	{"size = 100", wholeWith("size", "100")},
	{"size = 1000", fragileKeys}, // too big for its Scan
	{"size = 13", fragileKeys},   // a Scan that panics
	{"size = NULL", wholeWith("size", "0")},
	{"size = 1, ratio = 'NaN'", fragileKeys},
	{"ratio = '-Infinity'", fragileKeys},
	{"ratio = 2.5", wholeWith("ratio", "2.5")},
	{"ratio = 0.5, mood = 'fail'", fragileKeys},
	{"mood = 'panic'", fragileKeys},
	{"mood = 'nonsense'", fragileKeys},
	{"mood = NULL", fragileKeys},
	{"mood = 'fine'", wholeWith("mood", `"fine"`)},
	{"mood = 'well', details = '" + deepJSON(60) + "'", wholeWith("details", deepJSON(60))},
	{"details = '" + deepJSON(61) + "'", fragileKeys},
	{"details = '" + deepJSON(5000) + "'", fragileKeys},
	{"details = NULL", wholeWith("details", "null")},
	{"details = '{}'", wholeWith("", "")},
}

// TestUnreadableRows breaks one row after the other in every way, among others that
// go on, and mends it.
func TestUnreadableRows(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, fragileTable)
	plain := &binding.ListDef{
		Name: "plain", Table: "fragile", Key: []string{"id", "code", "part"},
		Columns: []binding.Column{{Name: "id", JSON: "id"}, {Name: "code", JSON: "code"}, {Name: "part", JSON: "p"}, {Name: "details", JSON: "d"}},
	}
	_, address := serve(t, pool, &server.Config{Migrate: true}, binding.List[fragile](), plain)
	f, p := dial(t, address), dial(t, address)
	m := f.list("fragile", 0, 20)
	row := string(m.Items[6])
	require.Equal(t, `{"id":7,"the code":"c","part":7,"count":7,"size":1,"ratio":0.5,"mood":"well","details":{}}`, row)
	p.list("plain", 0, 20)

	for _, c := range breaks {
		exec(t, pool, "UPDATE fragile SET "+c.set+" WHERE id = 7")
		exec(t, pool, "UPDATE fragile SET count = count + 1 WHERE id = 8")
		for m = f.take(); *m.Index != 7; m = f.take() { // the second commit comes with the first or after it
			require.Equal(t, []any{"set", 6}, []any{m.Func, *m.Index}, "%+v", m)
			row = string(m.Value)
		}
		require.Equal(t, c.want, row, c.set)
	}

	for depth, want := range map[int]string{
		60:   `{"id":9,"code":"c","p":9,"d":` + deepJSON(60) + `}`,
		5000: `{"id":9,"code":"c","p":9}`,
	} {
		exec(t, pool, "UPDATE fragile SET details = $1 WHERE id = 9", deepJSON(depth))
		for m = p.take(); *m.Index != 8; m = p.take() { // before it come those of row 7
			require.Equal(t, "set", m.Func)
		}
		require.JSONEq(t, want, string(m.Value))
	}

	exec(t, pool, "UPDATE fragile SET ratio = 'NaN'")
	fresh := dial(t, address).list("fragile", 0, 2)
	require.Equal(t, 20, *fresh.Total)
	require.Equal(t, `{"id":1,"the code":"c","part":1}`, string(fresh.Items[0]))
}

// TestUnreadableKeys has rows with keys of many types that can only be published by
// those.
func TestUnreadableKeys(t *testing.T) {
	t.Parallel()
	type keyed struct {
		_    struct{}       `socksync:"table=keyed; list=keyed; order=id"`
		ID   int64          `db:"id" json:"id" socksync:"pk"`
		N    pgtype.Numeric `db:"n" json:"n" socksync:"pk"`
		B    bool           `db:"b" json:"b" socksync:"pk"`
		U    pgtype.UUID    `db:"u" json:"u" socksync:"pk"`
		T    string         `db:"t" json:"t" socksync:"pk"`
		Hard float64        `db:"hard" json:"hard"`
	}
	pool := pgtest.New(t)
	exec(t, pool, `CREATE TABLE keyed (id bigint, n numeric, b bool, u uuid, t text, hard float8 DEFAULT 'NaN', PRIMARY KEY (id, n, b, u, t));
		INSERT INTO keyed VALUES
			(1, 1.50, true, '7f000000-0000-0000-0000-000000000001', E'"quoted"\n\\ <&> ü'),
			(2, 'NaN', false, '7f000000-0000-0000-0000-000000000002', '');`)
	_, address := serve(t, pool, &server.Config{Migrate: true}, binding.List[keyed]())
	m := dial(t, address).list("keyed", 0, 2)
	require.JSONEq(t, `{"id":1,"n":1.50,"b":true,"u":"7f000000-0000-0000-0000-000000000001","t":"\"quoted\"\n\\ <&> ü"}`, string(m.Items[0]))
	require.JSONEq(t, `{"id":2,"n":"NaN","b":false,"u":"7f000000-0000-0000-0000-000000000002","t":""}`, string(m.Items[1]))
}

// TestUnreadableVar has the value of a var be one that cannot be published.
func TestUnreadableVar(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable+`CREATE TABLE state (id int PRIMARY KEY, ratio float8, details jsonb, mood text);
		INSERT INTO state VALUES (1, 1, '1', 'well')`)
	column := func(name string) []binding.Option {
		return []binding.Option{binding.Name(name), binding.Table("state"), binding.Select(name), binding.Where("ratio < 3 OR id = 1")}
	}
	_, address := serve(t, pool, &server.Config{Migrate: true}, countItems(),
		binding.Var[float64](column("ratio")...), binding.Var[json.RawMessage](column("details")...), binding.Var[moody](column("mood")...))
	b := map[string]*browser{"ratio": dial(t, address), "details": dial(t, address), "mood": dial(t, address)}
	require.Equal(t, "1", b["ratio"].value("ratio"))
	require.Equal(t, "1", b["details"].value("details"))
	require.Equal(t, `"well"`, b["mood"].value("mood"))
	other := dial(t, address)
	require.Equal(t, "12", other.value("count"))

	for _, c := range []struct{ name, bad, good, want string }{
		{"ratio", "ratio = 'NaN'", "ratio = 2", "2"},
		{"ratio", "ratio = NULL", "ratio = 2.5", "2.5"},
		{"details", "details = '" + deepJSON(64) + "'", "details = '" + deepJSON(63) + "'", deepJSON(63)},
		{"mood", "mood = 'panic'", "mood = 'better'", `"better"`},
		{"mood", "mood = 'nonsense'", "mood = 'best'", `"best"`},
	} {
		exec(t, pool, "UPDATE state SET "+c.bad)
		for limit := 0; ; limit++ { // what was read before is known for a moment
			require.Less(t, limit, 10_000, c.bad)
			b[c.name].send(`{"func":"get","type":"var","name":%q}`, c.name)
			if m := b[c.name].take(); m.Func == "error" {
				require.Equal(t, 8, m.ErrorCode)
				break
			}
		}
		exec(t, pool, "UPDATE state SET "+c.good)
		require.Equal(t, c.want, b[c.name].set(c.name), "it is told by itself")
	}
	exec(t, pool, "INSERT INTO state VALUES (2, 1, '1', 'a second row')")
	for m := (message{}); m.Func != "error"; m = b["ratio"].take() {
		b["ratio"].send(`{"func":"get","type":"var","name":"ratio"}`)
	}
	exec(t, pool, "DELETE FROM items WHERE id = 1")
	require.Equal(t, "11", other.set("count"))
}
