package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// TestLeak has every column of every row be a secret of those who may see it, and connections of many identities that ask
// for everything that they can think of, while rows pass from one to another and the identities of connections change. No
// byte of a row may be heard by a connection whose identity does not see it, and no number that counts it.
func TestLeak(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	for range 12 {
		v.ears = append(v.ears, v.ear(v.anyone(), 1+v.random.IntN(3)/2+v.random.IntN(2)/2))
	}
	for range *roundsFlag {
		v.round()
	}
	v.hearSomething()
}

const vaultTables = `
CREATE TABLE rows (id bigint PRIMARY KEY, owner text, team text, shared bool, topic bigint,
	body text, number bigint, at timestamptz, price numeric, tags text[], note jsonb);
CREATE TABLE topics (id bigint PRIMARY KEY, label text, rank bigint);
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY owned ON rows USING (owner = current_setting('app.user', true));`

const rowReader = `DO $$ BEGIN CREATE ROLE socksync_row_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT SELECT ON rows TO socksync_row_reader;`

// vault is a run of the leak test.
type vault struct {
	t       *testing.T
	random  *rand.Rand
	pool    *pgxpool.Pool
	secrets *secrets
	desk    *desk
	people  []*who
	gates   gates
	address string
	ears    []*ear

	// What the one writer knows.
	rows   map[int]secret // by id
	topics map[string]int // by owner
}

// users have, each, no more rows than most says, and there are always more than the one before has.
var users = []string{"alice", "bob", "carol", "dave"}

const span = 12

// most is the greatest number of rows that a user has, and least the smallest.
func most(user string) int  { return span*slices.Index(users, user) + span/2 }
func least(user string) int { return span * slices.Index(users, user) }

var groups = []string{"red", "green", "blue"}

func newVault(t *testing.T) *vault {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: go test ./server -run '%s' -seed %d -rounds %d", t.Name(), seed, *roundsFlag)
	v := &vault{
		t: t, random: rand.New(rand.NewPCG(seed, 8)), pool: pgtest.New(t, pgtest.MaxConns(8)), desk: newDesk(),
		secrets: &secrets{of: map[string][]secret{}}, rows: map[int]secret{}, topics: map[string]int{},
	}
	_, err := v.pool.Exec(context.Background(), vaultTables+rowReader)
	require.NoError(t, err)
	for _, user := range users {
		v.topics[user] = v.secrets.fresh()
		v.secrets.tell(v.topics[user], secret{owner: user})
		v.exec(v.insertTopic(user))
		for range least(user) {
			v.exec(v.insert(v.random, user))
		}
	}
	for i, user := range slices.Concat(users, users) {
		w := &who{name: "who " + strconv.Itoa(i), values: map[string]any{"user": user, "teams": groups[:i%3]}, refused: map[string]bool{}}
		if i > len(users) {
			w.refused[[]string{"mine", "general", "joined", "newest", "peek"}[i%5]] = true
		}
		v.people, v.desk.tokens[w.name] = append(v.people, w), w
	}
	v.serve()
	return v
}

func (v *vault) serve() {
	settings := v.pool.Config()
	settings.MaxConns = 8
	served, err := pgxpool.NewWithConfig(context.Background(), settings)
	require.NoError(v.t, err)
	v.t.Cleanup(served.Close)
	config := &server.Config{Migrate: true, Grace: 200 * time.Millisecond, ExpiryGrace: time.Hour, Log: quietLog}
	v.desk.employ(config)
	live := newServer(v.t, served, config, v.definitions()...)
	v.address = v.gates.mount(v.t, live)
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	require.NoError(v.t, live.Start(ctx))
}

// vaultColumns are the columns of rows that are published.
var vaultColumns = strings.Split("id body number at price tags note", " ")

func secretList(name, where string) *binding.ListDef {
	def := &binding.ListDef{
		Name: name, Table: "rows", Key: []string{"id"}, Where: where, Order: []binding.OrderTerm{{Column: "number", Desc: true}},
		PageSize: 5, MaxPageSize: 20, MaxWindow: 60, Search: []string{"body"},
	}
	for _, column := range vaultColumns {
		def.Columns = append(def.Columns, binding.Column{Name: column, JSON: column})
		def.Filter = append(def.Filter, binding.FilterRule{Column: column})
		def.Sort = append(def.Sort, column)
	}
	return def.WithDefaults()
}

func (v *vault) definitions() []binding.Definition {
	ruled := secretList("ruled", "")
	ruled.Role, ruled.Settings = "socksync_row_reader", []binding.Setting{{Name: "app.user", Value: "user"}}
	return []binding.Definition{
		secretList("mine", "owner = @user"), secretList("both", "owner = @user AND team = ANY(@teams)"),
		secretList("general", "owner = @user OR shared"), secretList("team", "team = ANY(@teams)"), ruled,
		joinedSecrets(), groupedSecrets("grouped"), recomputedSecrets(),
		&binding.VarDef{Name: "newest", Query: "SELECT max(body) FROM rows WHERE owner = @user", Tables: []string{"rows"}},
		binding.Func("peek", v.peek),
	}
}

// joinedSecrets shows, with each row, that of another table.
func joinedSecrets() *binding.ListDef {
	def := secretList("joined", "owner = @user")
	def.Query = "SELECT r.*, t.label, t.rank FROM rows r LEFT JOIN topics t ON t.id = r.topic"
	def.Columns = append(def.Columns, binding.Column{Name: "label", JSON: "label"}, binding.Column{Name: "rank", JSON: "rank"})
	def.Sort, def.Search = append(def.Sort, "label", "rank"), append(def.Search, "label")
	def.Depends = []binding.Dependency{{Table: "topics", Columns: []string{"id"}, Through: "rows", Refers: []string{"topic"}}}
	return def
}

func groupedSecrets(name string) *binding.ListDef {
	return (&binding.ListDef{
		Name: name, Query: "SELECT owner, team, max(body) AS body, max(number) AS number FROM rows WHERE team IS NOT NULL GROUP BY owner, team",
		Key: []string{"owner", "team"}, Where: "owner = @user",
		Columns: []binding.Column{{Name: "owner"}, {Name: "team", JSON: "team"}, {Name: "body", JSON: "body"}, {Name: "number", JSON: "number"}},
		Depends: []binding.Dependency{{Table: "rows", Columns: []string{"owner", "team"}}}, Sort: []string{"body", "number"},
	}).WithDefaults()
}

func recomputedSecrets() *binding.ListDef {
	def := groupedSecrets("totals")
	def.Depends, def.Recompute, def.Tables = nil, 10*time.Millisecond, []string{"rows"}
	return def
}

// peek returns a row of the caller's, as an application would.
func (v *vault) peek(ctx context.Context, _ struct{}) (body string, err error) {
	w, ok := server.IdentityFrom(ctx).(*who)
	if !ok {
		return "", errors.New("nobody")
	}
	err = v.pool.QueryRow(ctx, "SELECT coalesce(max(body), '') FROM rows WHERE owner = $1", w.values["user"]).Scan(&body)
	return body, err
}

func (v *vault) anyone() *who { return v.people[v.random.IntN(len(v.people))] }

func (v *vault) ear(w *who, version int) *ear {
	v.t.Helper()
	query, number := v.desk.ticket(w)
	e := newEar(v.t, v.address+query, version, w, number)
	e.listen(v.secrets, v.limit)
	for name := range seenIn {
		e.say(`{"func":"subscribe","type":%q,"name":%q,"id":"ID"}`, typeOf(name), name)
		v.ask(e, name)
	}
	return e
}

func typeOf(name string) string {
	switch name {
	case "newest":
		return "var"
	case "peek":
		return "function"
	}
	return "list"
}

// limit is the greatest number of rows that an identity can see.
func (v *vault) limit(w *who, name string) int {
	user, _ := w.values["user"].(string)
	switch name {
	case "general", "team":
		return len(users) * most(users[len(users)-1]) // that is told by the differential test
	case "grouped", "totals":
		return len(groups) + 1 // one is nobody's
	}
	return most(user)
}

func (v *vault) exec(sql string) {
	v.t.Helper()
	_, err := v.pool.Exec(context.Background(), sql)
	require.NoError(v.t, err, sql)
}

// round runs transactions while everybody does this and that, and identities change.
func (v *vault) round() {
	var wg sync.WaitGroup
	random := rand.New(rand.NewPCG(v.random.Uint64(), 9))
	wg.Go(func() {
		for range 20 {
			v.transaction(random)
		}
	})
	for range 60 {
		v.act(v.random.IntN(len(v.ears)))
	}
	wg.Wait()
	for _, e := range v.ears {
		e.mark()
		e.query(vaultNames)
		e.silent()
	}
}

// transaction changes a few rows.
func (v *vault) transaction(r *rand.Rand) {
	ctx := context.Background()
	require.NoError(v.t, pgx.BeginFunc(ctx, v.pool, func(tx pgx.Tx) error {
		for range 1 + r.IntN(3) {
			if _, err := tx.Exec(ctx, v.statement(r)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// owned returns the rows of a user, in order.
func (v *vault) owned(user string) (ids []int) {
	for id, of := range v.rows {
		if of.owner == user {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// statement draws a change after which every user has as many rows as it may.
func (v *vault) statement(r *rand.Rand) string {
	user, other := users[r.IntN(len(users))], users[r.IntN(len(users))]
	mine, theirs := v.owned(user), v.owned(other)
	switch r.IntN(6) {
	case 0, 1:
		if len(mine) < most(user) {
			return v.insert(r, user)
		}
	case 2:
		if len(mine) > least(user) {
			return v.remove(mine[r.IntN(len(mine))])
		}
	case 3, 4: // a row passes to another user, to whom its key is no secret any more
		if len(mine) > least(user) && len(theirs) < most(other) {
			return v.pass(r, mine[r.IntN(len(mine))], other)
		}
	}
	if r.IntN(3) == 0 || len(mine) == 0 {
		number := v.secrets.fresh()
		v.secrets.tell(number, secret{owner: user})
		return fmt.Sprintf("UPDATE topics SET label = '%s', rank = %d WHERE id = %d", wordOf(number), number, v.topics[user])
	}
	return v.pass(r, mine[r.IntN(len(mine))], user)
}

func (v *vault) drawSecret(r *rand.Rand, owner string) secret {
	return secret{owner: owner, team: groups[r.IntN(len(groups))], shared: r.IntN(4) == 0}
}

func (v *vault) remove(id int) string {
	delete(v.rows, id)
	return fmt.Sprintf("DELETE FROM rows WHERE id = %d", id)
}

// insert is a new row of a user. Its key is a secret of its own.
func (v *vault) insert(r *rand.Rand, user string) string { return v.insertAs(v.drawSecret(r, user)) }

// insertOwn is a row that nobody else may see.
func (v *vault) insertOwn(user string) string { return v.insertAs(secret{owner: user}) }

func (v *vault) insertAs(of secret) string {
	id, number := v.secrets.fresh(), v.secrets.fresh()
	v.secrets.tell(id, of)
	v.secrets.tell(number, of)
	v.rows[id] = of
	return fmt.Sprintf("INSERT INTO rows VALUES (%d, '%s', '%s', %v, %d, %s)", id, of.owner, of.team, of.shared, v.topics[of.owner], v.secrets.values(number))
}

func (v *vault) insertTopic(user string) string {
	number := v.secrets.fresh()
	v.secrets.tell(number, secret{owner: user})
	return fmt.Sprintf("INSERT INTO topics VALUES (%d, '%s', %d)", v.topics[user], wordOf(number), number)
}

// pass gives a row to a user, with new values.
func (v *vault) pass(r *rand.Rand, id int, user string) string {
	of, number := v.drawSecret(r, user), v.secrets.fresh()
	v.secrets.tell(id, of)
	v.secrets.tell(number, of)
	v.rows[id] = of
	return fmt.Sprintf("UPDATE rows SET (owner, team, shared, topic, body, number, at, price, tags, note) = ('%s', '%s', %v, %d, %s) WHERE id = %d",
		of.owner, of.team, of.shared, v.topics[user], v.secrets.values(number), id)
}
