package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
)

// Thing is a row with a column of every kind that choices treat in a way of its own.
type Thing struct {
	ID     int64          `db:"id" json:"id" socksync:"pk"`
	N      *int32         `db:"n" json:"n"`
	Big    int64          `db:"big" json:"large"` // not the column's name
	Word   *string        `db:"word" json:"word"`
	Code   string         `db:"code" json:"code"`
	Tag    *string        `db:"tag" json:"tag"`
	At     *time.Time     `db:"at" json:"at"`
	Amount pgtype.Numeric `db:"amount" json:"amount"`
	Flag   *bool          `db:"flag" json:"flag"`
	Mood   *string        `db:"mood" json:"feeling"`
}

const thingsTable = `
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Äh');
CREATE TABLE things (id bigint PRIMARY KEY, n int, big bigint NOT NULL, word text, code text COLLATE "C" NOT NULL,
	tag text COLLATE any_case, at timestamptz, amount numeric, flag boolean, mood mood);
CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (b, a));`

// menu is a list of which subscribers choose: what the server is told, and how the oracle reads it.
type menu struct {
	name      string
	table     string
	def       binding.Definition
	reads     []string // the tables that relation reads; nil for the one table
	relation  string   // the oracle's FROM, with {table} for each table; "" for the one table
	where     string   // "" for all rows; @name is a value of the identity
	order     []string // terms in SQL, without the key
	sorted    []string // their columns
	key       []string // columns
	keyJSON   []string
	columns   []kind
	search    []kind
	maxPage   int
	loose     bool // what it shows on the way is not held against anything
	maxWindow int
	read      string // the oracle's select list
	rows      func(pgx.Rows) ([]string, error)
}

// kind is a column that subscribers may choose by.
type kind struct {
	column, json, sql string
	text              bool // it has prefix and contains
	collation         string
	draw              func(*rand.Rand) (value, literal string) // JSON, and the text of the same in SQL
}

const (
	mostOnPage   = 25
	mostInWindow = 60
)

func menus() []*menu {
	choosing := []binding.Option{
		binding.MaxPageSize(mostOnPage), binding.MaxWindow(mostInWindow), binding.Filter("*"), binding.Sort("*"),
	}
	list := func(name string, options ...binding.Option) []binding.Option {
		return append(append([]binding.Option{binding.Name(name)}, choosing...), options...)
	}
	things := menu{
		name: "things", table: "things", key: []string{"id"}, keyJSON: []string{"id"}, columns: thingKinds(), search: thingKinds()[3:6],
		maxPage: mostOnPage, maxWindow: mostInWindow, read: "id, n, big, word, code, tag, at, amount, flag, mood", rows: thingTexts,
	}
	things.def = binding.List[Thing](list("things", binding.Table("things"), binding.Search("word", "code", "tag"))...)
	some := things
	some.name, some.where, some.search = "some", "id % 5 <> 0", thingKinds()[3:4]
	some.order, some.sorted = []string{"at DESC NULLS LAST", "word"}, []string{"at", "word"}
	some.def = binding.List[Thing](list("some", binding.Table("things"), binding.Search("word"), binding.Where(some.where),
		binding.Order("-at nulls last, word"))...)
	pairs := menu{
		name: "pairs", table: "pairs", key: []string{"a", "b"}, keyJSON: []string{"a", "b"}, columns: pairKinds(), search: pairKinds()[1:],
		maxPage: mostOnPage, maxWindow: mostInWindow, read: "a, b, v", rows: encoded[Pair],
		order: []string{"v NULLS FIRST"}, sorted: []string{"v"},
	}
	pairs.def = binding.List[Pair](list("pairs", binding.Table("pairs"), binding.Search("b", "v"), binding.Order("v nulls first"))...)
	return []*menu{&things, &some, &pairs, plainMenu()}
}

// plainMenu is a list without a struct: Postgres makes its JSON.
func plainMenu() *menu {
	var rules []binding.FilterRule
	for _, name := range []string{"id", "n", "word"} {
		rules = append(rules, binding.FilterRule{Column: name})
	}
	kinds := []kind{thingKinds()[0], thingKinds()[1], thingKinds()[3]}
	return &menu{
		name: "plain", table: "things", key: []string{"id"}, keyJSON: []string{"id"}, columns: kinds, search: kinds[2:],
		maxPage: mostOnPage, maxWindow: mostInWindow,
		order: []string{"n DESC"}, sorted: []string{"n"},
		read: "(SELECT row_to_json(r)::text FROM (SELECT things.id, things.n, things.word) r)", rows: bareTexts,
		def: &binding.ListDef{
			Name: "plain", Table: "things", Key: []string{"id"},
			Columns:  []binding.Column{{Name: "id", JSON: "id"}, {Name: "n", JSON: "n"}, {Name: "word", JSON: "word"}},
			Order:    []binding.OrderTerm{{Column: "n", Desc: true}},
			PageSize: 7, MaxPageSize: mostOnPage, MaxWindow: mostInWindow,
			Filter: rules, Sort: []string{"id", "n", "word"}, Search: []string{"word"},
		},
	}
}

func bareTexts(rows pgx.Rows) ([]string, error) { return pgx.CollectRows(rows, pgx.RowTo[string]) }

// thingTexts encodes rows as encoded does, with times in UTC.
func thingTexts(rows pgx.Rows) ([]string, error) {
	things, err := pgx.CollectRows(rows, pgx.RowToStructByName[Thing])
	texts := make([]string, len(things))
	for i, thing := range things {
		if thing.At != nil {
			at := thing.At.UTC()
			thing.At = &at
		}
		text, jsonErr := json.Marshal(thing)
		if jsonErr != nil {
			return nil, jsonErr
		}
		texts[i] = string(text)
	}
	return texts, err
}

// quote returns a string literal.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func jsonOf(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return "null"
	}
	return string(b)
}

// oneOf draws a number or a word that is the same in JSON and in SQL.
func oneOf(values ...string) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		v := values[r.IntN(len(values))]
		return v, v
	}
}

// textOf draws a text.
func textOf(values ...string) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		v := values[r.IntN(len(values))]
		return jsonOf(v), v
	}
}

var (
	bigs    = []string{"0", "1", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"}
	amounts = []string{"0", "1.0", "1.00", "-3.5", "1e20", "0.000001", "12345678901234567890.5"}
	moods   = []string{"sad", "ok", "happy", "Äh"}
	instant = []string{
		"2001-01-01T00:00:00Z", "2001-01-02T00:00:00.000001Z", "2001-01-05T00:00:00.000002Z", "2001-01-05T02:00:00.000002+02:00",
		"2001-01-09T00:00:00Z", "2001-01-01 12:00:00+00",
	}
	// pieces are what is searched for, and parts of words.
	pieces = strings.Split("a|A|AP|pie|z|É|é|ss|ß|SS|i|I|İ|_|%|\\|-|'|\"|10|x_|Ω|œ|co|OP|ead|{}|ull|\U0001F600", "|")
)

func number(bound int) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		v := fmt.Sprint(r.IntN(bound))
		return v, v
	}
}

// numeric draws a numeric, now and then one that JSON has only as a string.
func numeric(r *rand.Rand) (value, literal string) {
	if r.IntN(8) == 0 {
		return `"NaN"`, "NaN"
	}
	return oneOf(amounts...)(r)
}

func thingKinds() []kind {
	return []kind{
		{column: "id", json: "id", sql: "bigint", draw: number(120)},
		{column: "n", json: "n", sql: "int", draw: number(100)},
		{column: "big", json: "large", sql: "bigint", draw: oneOf(bigs...)},
		{column: "word", json: "word", sql: "text", text: true, collation: `"default"`, draw: textOf(vocabularyWords...)},
		{column: "code", json: "code", sql: "text", text: true, collation: `"C"`, draw: textOf(vocabularyWords...)},
		{column: "tag", json: "tag", sql: "text", collation: "any_case", draw: textOf(vocabularyWords...)},
		{column: "at", json: "at", sql: "timestamptz", draw: textOf(instant...)},
		{column: "amount", json: "amount", sql: "numeric", draw: numeric},
		{column: "flag", json: "flag", sql: "boolean", draw: oneOf("true", "false")},
		{column: "mood", json: "feeling", sql: "mood", draw: textOf(moods...)},
	}
}

func pairKinds() []kind {
	return []kind{
		{column: "a", json: "a", sql: "int", draw: number(12)},
		{column: "b", json: "b", sql: "text", text: true, collation: `"default"`, draw: textOf(vocabularyWords...)},
		{column: "v", json: "v", sql: "text", text: true, collation: `"default"`, draw: textOf(vocabularyWords...)},
	}
}

// choice is what a subscriber wants to see, on the wire and in SQL.
type choice struct {
	menu   *menu
	fields string // of a get, each with a comma in front
	who    *who   // whose it is; nil where that makes no difference
	origin *choice
	where  []string
	order  []string // without the key columns that are not named
	sorted []string // the columns of order
}

func (c *choice) String() string { return "list " + c.menu.name + c.fields }

// as is the choice when it is this identity's.
func (c *choice) as(w *who) *choice {
	mine := *c
	mine.who, mine.origin = w, c.first()
	return &mine
}

// first is the choice that it was drawn as.
func (c *choice) first() *choice {
	if c.origin != nil {
		return c.origin
	}
	return c
}

// query is the choice in SQL: the keys in order, and the values that they are sorted by.
func (c *choice) query(from string) string {
	order, sorted := c.order, c.sorted
	if order == nil {
		order, sorted = c.menu.order, c.menu.sorted
	}
	for _, column := range c.menu.key {
		if !contains(sorted, column) {
			order, sorted = append(order[:len(order):len(order)], column), append(sorted[:len(sorted):len(sorted)], column)
		}
	}
	conditions := append([]string{"true"}, c.where...)
	if c.menu.where != "" {
		conditions = append(conditions, c.who.fill(c.menu.where))
	}
	return fmt.Sprintf("SELECT jsonb_build_array(%s)::text, ROW(%s)::text FROM %s WHERE (%s) ORDER BY %s", strings.Join(c.menu.key, ", "),
		strings.Join(sorted, ", "), from, strings.Join(conditions, ") AND ("), strings.Join(order, ", "))
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// drawChoice draws a choice; one of eight is the list as it is defined.
func drawChoice(r *rand.Rand, m *menu) *choice {
	c := &choice{menu: m}
	if r.IntN(8) == 0 {
		return c
	}
	if r.IntN(3) > 0 {
		c.sortBy(r)
	}
	if r.IntN(3) > 0 {
		c.filterBy(r)
	}
	if r.IntN(4) == 0 && len(m.search) > 0 {
		c.searchFor(r)
	}
	return c
}

func (c *choice) sortBy(r *rand.Rand) {
	var names []string
	for _, i := range r.Perm(len(c.menu.columns))[:1+r.IntN(min(3, len(c.menu.columns)))] {
		k := c.menu.columns[i]
		name, term := k.json, k.column
		if r.IntN(2) == 0 {
			name, term = "-"+name, term+" DESC"
		}
		names = append(names, jsonOf(name))
		c.order, c.sorted = append(c.order, term), append(c.sorted, k.column)
	}
	c.fields += `,"sort":[` + strings.Join(names, ",") + `]`
}

// filterBy draws conditions on one or two columns, on each one or two.
func (c *choice) filterBy(r *rand.Rand) {
	var columns []string
	for _, i := range r.Perm(len(c.menu.columns))[:1+r.IntN(2)] {
		columns = append(columns, jsonOf(c.menu.columns[i].json)+":"+c.conditions(r, c.menu.columns[i]))
	}
	c.fields += `,"filter":{` + strings.Join(columns, ",") + `}`
}

// operators are those that every column has, in SQL.
var operators = map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "ne": "IS DISTINCT FROM"}

// conditions draws what one column must be, as JSON, and notes the same in SQL.
func (c *choice) conditions(r *rand.Rand, k kind) string {
	if r.IntN(8) == 0 {
		value, literal := k.drawOrNull(r)
		c.equal(k, literal)
		return value
	}
	names := []string{"eq", "ne", "ne", "ne", "lt", "lte", "lte", "gt", "gte", "gte", "in", "null"} // most let many rows through
	if k.text {
		names = append(names, "prefix", "contains", "contains")
	}
	first, second := names[r.IntN(len(names))], names[r.IntN(len(names))]
	text := jsonOf(first) + ":" + c.condition(r, k, first)
	if second != first && r.IntN(3) == 0 {
		text += "," + jsonOf(second) + ":" + c.condition(r, k, second)
	}
	return "{" + text + "}"
}

// drawOrNull draws a value with its literal, or null.
func (k kind) drawOrNull(r *rand.Rand) (value, literal string) {
	if r.IntN(8) == 0 {
		return "null", "NULL"
	}
	value, literal = k.draw(r)
	return value, quote(literal) + "::" + k.sql
}

func (c *choice) equal(k kind, literal string) {
	if literal == "NULL" {
		c.where = append(c.where, k.column+" IS NULL")
		return
	}
	c.where = append(c.where, k.column+" = "+literal)
}

func (c *choice) condition(r *rand.Rand, k kind, operator string) string {
	switch operator {
	case "eq":
		value, literal := k.drawOrNull(r)
		c.equal(k, literal)
		return value
	case "in":
		return c.among(r, k)
	case "null":
		is := r.IntN(2) == 0
		c.where = append(c.where, k.column+map[bool]string{true: " IS NULL", false: " IS NOT NULL"}[is])
		return fmt.Sprint(is)
	case "prefix", "contains":
		piece := pieces[r.IntN(len(pieces))]
		function := map[string]string{"prefix": "starts_with(%s, %s)", "contains": "strpos(%s, %s) > 0"}[operator]
		c.where = append(c.where, fmt.Sprintf(function, k.column, quote(piece)))
		return jsonOf(piece)
	}
	value, literal := k.draw(r)
	literal = quote(literal) + "::" + k.sql
	if operator == "ne" {
		value, literal = k.drawOrNull(r)
	}
	c.where = append(c.where, k.column+" "+operators[operator]+" "+literal)
	return value
}

func (c *choice) among(r *rand.Rand, k kind) string {
	var values, literals []string
	for range r.IntN(6) {
		value, literal := k.drawOrNull(r)
		values, literals = append(values, value), append(literals, literal)
	}
	c.where = append(c.where, fmt.Sprintf("%s = ANY(ARRAY[%s]::%s[])", k.column, strings.Join(literals, ", "), k.sql))
	return "[" + strings.Join(values, ",") + "]"
}

// searchFor draws one or two words, which each some column must contain.
func (c *choice) searchFor(r *rand.Rand) {
	words := []string{pieces[r.IntN(len(pieces))]}
	if r.IntN(3) == 0 {
		words = append(words, pieces[r.IntN(len(pieces))])
	}
	for _, word := range words {
		var found []string
		for _, k := range c.menu.search {
			found = append(found, fmt.Sprintf(`strpos(lower(%s) COLLATE "C", lower(%s COLLATE %s) COLLATE "C") > 0`, k.column, quote(word), k.collation))
		}
		c.where = append(c.where, strings.Join(found, " OR "))
	}
	space := []string{" ", "  ", "\t", "\n "}[r.IntN(4)]
	c.fields += `,"search":` + jsonOf(strings.Join(words, space)+space[:r.IntN(2)])
}
