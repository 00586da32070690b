package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/store"
)

// schedule are flights whose delays are 10, 20, 30 and NULL, twice.
func schedule() []flight {
	var rows []flight
	for _, gate := range []string{"A", "B"} {
		for i, delay := range []*int{new(10), new(20), new(30), nil} {
			rows = append(rows, flight{Number: fmt.Sprint(gate, i+1), Delay: delay, Gate: &gate})
		}
	}
	return rows
}

func TestFilters(t *testing.T) {
	t.Parallel()
	m, _ := flights(t, schedule()...)
	const delay = "delay_minutes"
	all := "A1 A2 A3 A4 B1 B2 B3 B4"
	for i, tc := range []struct {
		where store.Filter
		want  string
	}{
		{nil, all},
		{store.Eq(delay, 20), "A2 B2"},
		{store.Eq(delay, int8(20)), "A2 B2"},
		{store.Eq(delay, new(20)), "A2 B2"},
		{store.Eq(delay, sql.Null[int]{V: 20, Valid: true}), "A2 B2"},
		{store.Ne(delay, 20), "A1 A3 B1 B3"},
		{store.Lt(delay, 20), "A1 B1"},
		{store.Lte(delay, 20), "A1 A2 B1 B2"},
		{store.Gt(delay, 20), "A3 B3"},
		{store.Gte(delay, 20), "A2 A3 B2 B3"},
		{store.Eq(delay, nil), "A4 B4"},
		{store.Eq(delay, (*int)(nil)), "A4 B4"},
		{store.Eq(delay, sql.Null[int]{}), "A4 B4"},
		{store.Ne(delay, nil), "A1 A2 A3 B1 B2 B3"},
		{store.IsNull(delay), "A4 B4"},
		{store.NotNull(delay), "A1 A2 A3 B1 B2 B3"},
		{store.In(delay, 10, 30, 40), "A1 A3 B1 B3"},
		{store.In[int](delay), ""},
		{store.In("number", "A1", "A1"), "A1"},
		{store.Eq("number", "a1"), ""},
		{store.And(), all},
		{store.Or(), ""},
		{store.And(nil, store.Eq("gate", "A")), "A1 A2 A3 A4"},
		{store.Or(nil, store.Eq("gate", "A")), all},
		{store.And(store.Eq("gate", "A"), store.Or(store.Eq(delay, 10), store.IsNull(delay))), "A1 A4"},
		{store.Or(store.And(store.Eq("gate", "A"), store.Eq(delay, 10)), store.Eq("number", "B3")), "A1 B3"},
	} {
		t.Run(fmt.Sprint(i, " ", tc.want), func(t *testing.T) {
			rows, err := m.List(t.Context(), store.Query{Where: tc.where})
			require.NoError(t, err)
			require.NotNil(t, rows)
			require.Equal(t, tc.want, strings.Join(numbers(rows), " "))
			n, err := m.Count(t.Context(), tc.where)
			require.NoError(t, err)
			require.Equal(t, len(rows), n)
		})
	}
}

func TestOrderLimitOffset(t *testing.T) {
	t.Parallel()
	m, _ := flights(t, schedule()...)
	for _, tc := range []struct {
		query store.Query
		want  string
	}{
		{store.Query{Order: "-id"}, "B4 B3 B2 B1 A4 A3 A2 A1"},
		{store.Query{Order: "delay_minutes"}, "A1 B1 A2 B2 A3 B3 A4 B4"},
		{store.Query{Order: "-delay_minutes, -id"}, "B4 A4 B3 A3 B2 A2 B1 A1"},
		{store.Query{Order: "-delay_minutes nulls last, gate desc"}, "B3 A3 B2 A2 B1 A1 B4 A4"},
		{store.Query{Limit: 2}, "A1 A2"},
		{store.Query{Limit: 2, Offset: 7}, "B4"},
		{store.Query{Offset: 6}, "B3 B4"},
		{store.Query{Offset: 8}, ""},
		{store.Query{Where: store.Eq("gate", "B"), Order: "-delay_minutes", Limit: 1, Offset: 1}, "B3"},
	} {
		rows, err := m.List(t.Context(), tc.query)
		require.NoError(t, err)
		require.Equal(t, tc.want, strings.Join(numbers(rows), " "), "%+v", tc.query)
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	m, _ := flights(t)
	ctx := t.Context()
	for _, tc := range []struct {
		query store.Query
		want  string
	}{
		{store.Query{Where: store.Eq("nothing", 1)}, `unknown column "nothing"`},
		{store.Query{Where: store.IsNull(`id" IS NULL OR true --`)}, "unknown column"},
		{store.Query{Where: store.And(store.Or(store.In("ID", 1)))}, `unknown column "ID"`},
		{store.Query{Where: store.Lt("id", nil)}, `column "id": nothing is < NULL`},
		{store.Query{Where: store.In("gate", new("A"), nil)}, "NULL among the values"},
		{store.Query{Order: "nothing"}, `unknown column "nothing"`},
		{store.Query{Order: "tableoid"}, `unknown column "tableoid"`},
		{store.Query{Order: "id; DROP TABLE flights"}, "order term"},
		{store.Query{Order: "random()"}, "order term"},
		{store.Query{Limit: -1}, "less than 0"},
		{store.Query{Offset: -1}, "less than 0"},
	} {
		_, err := m.List(ctx, tc.query)
		require.ErrorContains(t, err, tc.want)
		require.ErrorContains(t, err, `store: list "flights": `)
	}
	_, err := m.Count(ctx, store.Eq("nothing", 1))
	require.ErrorContains(t, err, `unknown column "nothing"`)
	require.ErrorContains(t, m.Insert(ctx, &flight{}, "nothing"), `unknown column "nothing"`)
	require.ErrorContains(t, m.Update(ctx, &flight{}, "nothing"), `unknown column "nothing"`)
	require.ErrorContains(t, m.Update(ctx, &flight{}, "id"), "belongs to the key")
}

// Types whose arrays the driver does not know can be filtered like others.
func TestFilterByEnum(t *testing.T) {
	t.Parallel()
	type mood string
	type person struct {
		_    struct{} `socksync:"table=people"`
		Mood mood     `db:"mood" socksync:"pk"`
		Max  *mood    `db:"max"`
	}
	_, db := open(t, "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
		"CREATE TABLE people (mood mood PRIMARY KEY, max mood)",
		"INSERT INTO people VALUES ('happy', 'happy'), ('sad', NULL), ('ok', 'ok')")
	m := model[person](t, db)
	rows, err := m.List(t.Context(), store.Query{
		Where: store.And(store.In("mood", mood("ok"), "happy"), store.Gt("max", "sad")), Order: "-max",
	})
	require.NoError(t, err)
	require.Equal(t, []person{{Mood: "happy", Max: new(mood("happy"))}, {Mood: "ok", Max: new(mood("ok"))}}, rows)
	_, err = m.List(t.Context(), store.Query{Where: store.Eq("mood", "secret")})
	require.ErrorContains(t, err, "22P02")
	require.NotContains(t, err.Error(), "secret")
}
