package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
)

// Doc is a Thing that is somebody's.
type Doc struct {
	Thing
	Owner  *string `db:"owner" json:"owner"`
	Team   *string `db:"team" json:"team"`
	Shared *bool   `db:"shared" json:"shared"`
}

// docsTables has, besides documents with owners, flights between airports, which are in countries, and bookings of them.
const docsTables = `
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Äh');
CREATE TABLE docs (id bigint PRIMARY KEY, n int, big bigint NOT NULL, word text, code text COLLATE "C" NOT NULL,
	tag text COLLATE any_case, at timestamptz, amount numeric, flag boolean, mood mood, owner text, team text, shared boolean);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY owned ON docs USING (owner = current_setting('app.user', true) OR shared AND nullif(current_setting('app.level', true), '')::int > 20);
CREATE TABLE countries (code text PRIMARY KEY, label text COLLATE any_case);
CREATE TABLE airports (iata text PRIMARY KEY, name text, country text);
CREATE TABLE flights (id bigint PRIMARY KEY, origin text, destination text, delay int);
CREATE TABLE bookings (who text, flight bigint, seat text, PRIMARY KEY (who, flight));
CREATE VIEW named AS SELECT f.id, f.origin, f.destination, f.delay, o.name AS origin_name, d.name AS destination_name
	FROM flights f LEFT JOIN airports o ON o.iata = f.origin LEFT JOIN airports d ON d.iata = f.destination;`

// docReader is the role under which a list is read. Roles belong to the whole server, so another test may have made it.
const docReader = `DO $$ BEGIN CREATE ROLE socksync_doc_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT SELECT ON docs TO socksync_doc_reader;`

// kindsOfLists are the names of the kinds of lists, in the order of guestMenus.
var kindsOfLists = strings.Split("equality general teams both tagged priced level open ruled "+
	"mine named countries origins grouped totals", " ")

// guestMenus are the lists of the kinds.
func guestMenus(kinds []string) []*menu {
	all := append(docMenus(), flightMenus()...)
	var menus []*menu
	for i, kind := range kindsOfLists {
		if contains(kinds, kind) {
			all[i].name = kind
			all[i].define(i)
			menus = append(menus, all[i])
		}
	}
	return menus
}

// define makes the definition, where the list has none, and completes it.
func (m *menu) define(i int) {
	m.maxPage, m.maxWindow = mostOnPage, mostInWindow
	def, _ := m.def.(*binding.ListDef)
	def.Name, def.MaxPageSize, def.PageSize, def.MaxWindow = m.name, m.maxPage, 3+i, m.maxWindow
	for _, k := range m.columns {
		def.Filter = append(def.Filter, binding.FilterRule{Column: k.column})
		def.Sort = append(def.Sort, k.column)
	}
	for _, k := range m.search {
		def.Search = append(def.Search, k.column)
	}
	def.Order = nil
	for _, term := range m.order {
		def.Order = append(def.Order, orderTerm(term))
	}
	m.def = def.WithDefaults()
}

// orderTerm reads a term of ORDER BY.
func orderTerm(sql string) binding.OrderTerm {
	t := binding.OrderTerm{Column: strings.Fields(sql)[0], Desc: strings.Contains(sql, " DESC")}
	switch {
	case strings.HasSuffix(sql, " NULLS LAST"):
		t.Nulls = binding.NullsLast
	case strings.HasSuffix(sql, " NULLS FIRST"):
		t.Nulls = binding.NullsFirst
	}
	return t
}

func docKinds() []kind {
	return append(thingKinds(),
		kind{column: "owner", json: "owner", sql: "text", text: true, collation: `"default"`, draw: textOf(owners...)},
		kind{column: "team", json: "team", sql: "text", text: true, collation: `"default"`, draw: textOf(teams...)},
		kind{column: "shared", json: "shared", sql: "boolean", draw: oneOf("true", "false")})
}

// docMenu is a list of documents, published from the struct or by Postgres.
func docMenu(bare bool, where string, order ...string) *menu {
	kinds := docKinds()
	m := &menu{
		table: "docs", key: []string{"id"}, keyJSON: []string{"id"}, columns: kinds, search: kinds[3:6], where: where,
		order: order, read: columnsOf(kinds), rows: docTexts,
	}
	for _, term := range order {
		m.sorted = append(m.sorted, strings.Fields(term)[0])
	}
	if bare {
		m.read, m.rows = rowJSON("docs", kinds), bareTexts
		m.def = &binding.ListDef{Table: "docs", Key: m.key, Columns: publishedOf(kinds), Where: where}
		return m
	}
	m.def = binding.List[Doc](binding.Name("list"), binding.Table("docs"))
	m.def.(*binding.ListDef).Where = where
	return m
}

func columnsOf(kinds []kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.column)
	}
	return strings.Join(names, ", ")
}

// rowJSON is the select list that has Postgres make the JSON of a row.
func rowJSON(table string, kinds []kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, fmt.Sprintf("%s.%s AS %q", table, k.column, k.json))
	}
	return "(SELECT row_to_json(r)::text FROM (SELECT " + strings.Join(names, ", ") + ") r)"
}

func publishedOf(kinds []kind) (columns []binding.Column) {
	for _, k := range kinds {
		columns = append(columns, binding.Column{Name: k.column, JSON: k.json})
	}
	return columns
}

// docTexts encodes rows as encoded does, with times in UTC.
func docTexts(rows pgx.Rows) ([]string, error) {
	docs, err := pgx.CollectRows(rows, pgx.RowToStructByName[Doc])
	texts := make([]string, len(docs))
	for i, doc := range docs {
		if doc.At != nil {
			at := doc.At.In(time.UTC)
			doc.At = &at
		}
		text, jsonErr := json.Marshal(doc)
		if jsonErr != nil {
			return nil, jsonErr
		}
		texts[i] = string(text)
	}
	return texts, err
}

func docMenus() []*menu {
	ruled := docMenu(false, "owner = @user OR shared AND @level > 20", "big", "id DESC")
	def := ruled.def.(*binding.ListDef)
	def.Where, def.Role = "", "socksync_doc_reader"
	def.Settings = []binding.Setting{{Name: "app.user", Value: "user"}, {Name: "app.level", Value: "level"}}
	return []*menu{
		docMenu(false, "owner = @user", "at DESC NULLS LAST", "word"),
		docMenu(false, "owner = @user OR shared OR @admin", "word"),
		docMenu(true, "team = ANY(@teams)", "n DESC"),
		docMenu(false, "(owner = @user) AND id % 7 <> 0 -- not all\nAND team = ANY(@teams)", "code", "n"),
		docMenu(true, "tag = @tag", "tag"),
		docMenu(false, "@price = amount AND n IS NOT NULL", "mood"),
		docMenu(false, "n <= @level AND word IS DISTINCT FROM @tag", "n"),
		docMenu(true, "", "at"),
		ruled,
	}
}

func airportKind(column string) kind {
	return kind{column: column, json: column, sql: "text", text: true, collation: `"default"`, draw: textOf(airports...)}
}

func nameKind(column string) kind {
	return kind{column: column, json: column, sql: "text", text: true, collation: `"default"`, draw: textOf(vocabularyWords...)}
}

func numberKind(column, sql string, bound int) kind {
	return kind{column: column, json: column, sql: sql, draw: number(bound)}
}

var (
	airports  = strings.Split("AAA|AAB|aab|BBB|ÄÄÄ|C'C|DDD", "|")
	countries = strings.Split("at|AT|ch|de|x", "|")
)

// joined is a list of a query. The oracle's query is the same, with the tables in braces.
func joined(query string, key []string, kinds []kind, order ...string) (*menu, *binding.ListDef) {
	m := &menu{key: key, keyJSON: key, columns: kinds, order: order, relation: "(" + query + ") AS rel", read: rowJSON("rel", kinds), rows: bareTexts}
	for _, term := range order {
		m.sorted = append(m.sorted, strings.Fields(term)[0])
	}
	def := &binding.ListDef{Query: strings.NewReplacer("{", "", "}", "").Replace(query), Key: key, Columns: publishedOf(kinds)}
	m.def = def
	return m, def
}

func flightMenus() []*menu {
	return []*menu{bookedMenu(), namedMenu(), countriesMenu(), originsMenu(), groupedMenu(), totalsMenu()}
}

// bookedMenu is a join that is somebody's, whose key is published in part.
func bookedMenu() *menu {
	kinds := []kind{
		numberKind("flight", "bigint", 40), airportKind("origin"), numberKind("delay", "int", 60),
		{column: "seat", json: "seat", sql: "text", text: true, collation: `"default"`, draw: textOf(vocabularyWords...)},
	}
	m, def := joined("SELECT b.who, b.flight, b.seat, f.origin, f.delay FROM {bookings} b JOIN {flights} f ON f.id = b.flight",
		[]string{"flight"}, kinds, "delay", "seat")
	m.table, m.reads, m.where = "bookings", []string{"bookings", "flights"}, "who = @user"
	m.search = []kind{kinds[3]}
	def.Table, def.Key, def.Where = "bookings", []string{"who", "flight"}, m.where
	def.Columns = append(def.Columns, binding.Column{Name: "who"})
	def.Depends = []binding.Dependency{{Table: "flights", Columns: []string{"id"}, Through: "bookings", Refers: []string{"flight"}}}
	return m
}

func namedKinds() []kind {
	return []kind{
		numberKind("id", "bigint", 40), airportKind("origin"), airportKind("destination"), numberKind("delay", "int", 60),
		nameKind("origin_name"), nameKind("destination_name"),
	}
}

// namedMenu is a database view that joins a table twice.
func namedMenu() *menu {
	kinds := namedKinds()
	m, def := joined(`SELECT f.id, f.origin, f.destination, f.delay, o.name AS origin_name, d.name AS destination_name
		FROM {flights} f LEFT JOIN {airports} o ON o.iata = f.origin LEFT JOIN {airports} d ON d.iata = f.destination`,
		[]string{"id"}, kinds, "origin_name", "delay DESC")
	m.table, m.reads, m.search = "flights", []string{"flights", "airports"}, kinds[4:]
	def.Query, def.Table = "SELECT * FROM named", "flights"
	def.Depends = []binding.Dependency{
		{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
		{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"destination"}},
	}
	return m
}

// countriesMenu is a chain of joins, with a condition that not only the main table has a say in.
func countriesMenu() *menu {
	kinds := []kind{numberKind("id", "bigint", 40), numberKind("delay", "int", 60), nameKind("label"), nameKind("name")}
	kinds[2].text, kinds[2].collation = false, "any_case"
	m, def := joined("SELECT f.id, f.delay, c.label, a.name FROM {flights} f JOIN {airports} a ON a.iata = f.origin "+
		"JOIN {countries} c ON c.code = a.country", []string{"id"}, kinds, "label DESC NULLS LAST")
	m.table, m.reads, m.where = "flights", []string{"flights", "airports", "countries"}, "label = @tag OR delay < @level"
	m.search = kinds[3:]
	def.Table, def.Where = "flights", m.where
	def.Depends = []binding.Dependency{
		{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
		{Table: "countries", Columns: []string{"code"}, Through: "airports", Refers: []string{"country"}},
	}
	return m
}

// originsMenu has one item per group.
func originsMenu() *menu {
	kinds := []kind{airportKind("origin"), numberKind("flights", "bigint", 8), numberKind("late", "bigint", 8), numberKind("average", "numeric", 60)}
	m, def := joined(`SELECT origin, count(*) AS flights, count(*) FILTER (WHERE delay > 30) AS late, avg(delay) AS average
		FROM {flights} WHERE origin IS NOT NULL GROUP BY origin`, []string{"origin"}, kinds, "flights DESC")
	m.table, m.reads, m.search = "flights", []string{"flights"}, kinds[:1]
	def.Depends = []binding.Dependency{{Table: "flights", Columns: []string{"origin"}}}
	return m
}

// groupedMenu has one item per group, of which some are the identity's.
func groupedMenu() *menu {
	kinds := []kind{
		{column: "team", json: "team", sql: "text", text: true, collation: `"default"`, draw: textOf(teams...)},
		numberKind("docs", "bigint", 12), numberKind("most", "int", 100),
	}
	m, def := joined(`SELECT owner, team, count(*) AS docs, max(n) AS most FROM {docs} WHERE owner IS NOT NULL AND team IS NOT NULL GROUP BY owner, team`,
		[]string{"team"}, kinds, "docs DESC", "most")
	m.table, m.reads, m.where = "docs", []string{"docs"}, "owner = @user"
	def.Key, def.Where = []string{"owner", "team"}, m.where
	def.Columns = append(def.Columns, binding.Column{Name: "owner"})
	def.Depends = []binding.Dependency{{Table: "docs", Columns: []string{"owner", "team"}}}
	return m
}

// totalsMenu is recomputed: its groups are of several tables.
func totalsMenu() *menu {
	kinds := []kind{airportKind("origin"), numberKind("booked", "bigint", 9), nameKind("name")}
	m, def := joined(`SELECT b.who, f.origin, count(*) AS booked, min(a.name) AS name FROM {bookings} b JOIN {flights} f ON f.id = b.flight
		LEFT JOIN {airports} a ON a.iata = f.origin WHERE f.origin IS NOT NULL GROUP BY b.who, f.origin`,
		[]string{"origin"}, kinds, "booked DESC", "name")
	m.table, m.reads, m.where, m.loose = "bookings", []string{"bookings", "flights", "airports"}, "who = @user", true
	def.Key, def.Where = []string{"who", "origin"}, m.where
	def.Columns = append(def.Columns, binding.Column{Name: "who"})
	def.Recompute, def.Tables = 20*time.Millisecond, []string{"bookings", "flights", "airports"}
	return m
}

// drawDoc draws the values of a document but the id, in SQL.
func drawDoc(r *rand.Rand) string {
	var values []string
	for _, k := range docKinds()[1:] {
		values = append(values, drawValue(r, k))
	}
	return strings.Join(values, ", ")
}

// drawValue draws a value of a column, in SQL.
func drawValue(r *rand.Rand, k kind) string {
	if r.IntN(8) == 0 && k.column != "big" && k.column != "code" {
		return "NULL"
	}
	_, text := k.draw(r)
	return quote(text) + "::" + k.sql
}
