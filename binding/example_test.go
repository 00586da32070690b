package binding_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/socksync/socksync/binding"
)

// Flight is the struct of the examples.
type Flight struct {
	_            struct{}  `socksync:"table=flights; list=departures; order=departs_at, id; max_page_size=100"`
	ID           int64     `db:"id" json:"id" socksync:"pk"`
	DepartsAt    time.Time `db:"departs_at" json:"departs_at"`
	DelayMinutes *int      `db:"delay_minutes" json:"delay_minutes"`
	Note         *string   `db:"note" json:"-"`
}

func ExampleList() {
	departures := binding.List[Flight]()
	fmt.Println(departures, departures.Table, departures.Key, departures.Validate())
	// Output: list "departures" flights [id] <nil>
}

// More lists of one struct are made by options.
func ExampleList_options() {
	late := binding.List[Flight](
		binding.Name("late"),
		binding.Where("delay_minutes >= 30"),
		binding.Order("-delay_minutes"),
		binding.PageSize(20),
	)
	fmt.Println(late, late.Where, late.PageSize, late.MaxPageSize)
	for _, term := range late.Order {
		fmt.Println(term.SQL())
	}
	// Output:
	// list "late" delay_minutes >= 30 20 100
	// "delay_minutes" DESC NULLS FIRST
	// "id" ASC NULLS LAST
}

// Delay is a list that each subscriber filters, sorts and searches as it likes,
// as far as the tags let it.
type Delay struct {
	_       struct{} `socksync:"table=flights; list=delays; sort=*; filter=*(eq in), note(contains)"`
	ID      int64    `db:"id" json:"id" socksync:"pk"`
	Origin  string   `db:"origin" json:"origin" socksync:"search"`
	Minutes int      `db:"delay_minutes" json:"delay" socksync:"filter=gte lte"`
	Note    *string  `db:"note" json:"note" socksync:"search"`
}

func ExampleList_choice() {
	delays := binding.List[Delay]()
	for _, rule := range delays.Filter {
		fmt.Println(rule.Column, rule.Operators)
	}
	fmt.Println(delays.Sort, delays.Search, delays.MaxWindow, delays.Validate())

	// Options are in place of what the tags say.
	quiet := binding.List[Delay](binding.Name("quiet"), binding.Filter("origin"), binding.Sort("delay_minutes"), binding.Search())
	fmt.Println(quiet.Filter, quiet.Sort, quiet.Search, quiet.Validate())
	// Output:
	// * [eq in]
	// note [contains]
	// delay_minutes [gte lte]
	// [*] [origin note] 1000 <nil>
	// [{origin []}] [delay_minutes] [] <nil>
}

func ExampleParseFilterRule() {
	rule, err := binding.ParseFilterRule(`"Delay" (gte lte)`)
	fmt.Println(rule.Column, rule.Operators, err)
	_, err = binding.ParseFilterRule("delay(like)")
	fmt.Println(err)
	// Output:
	// Delay [gte lte] <nil>
	// rule "delay(like)": unknown operator "like"
}

// A program without structs writes the same definition out.
func ExampleListDef() {
	airports := &binding.ListDef{
		Name:    "airports",
		Table:   "public.airports",
		Key:     []string{"iata"},
		Columns: []binding.Column{{Name: "iata", JSON: "iata"}, {Name: "name", JSON: "name"}},
		Order:   []binding.OrderTerm{{Column: "name"}},
	}
	fmt.Println(airports.Validate(), airports.WithDefaults().Order)
	// Output: <nil> [{name false 0} {iata false 0}]
}

// Every mistake is said at once, with its place.
func ExampleDefinitionError() {
	err := binding.List[Flight](binding.Order("-delay"), binding.MaxPageSize(0)).Validate()
	fmt.Println(err)

	var mistake *binding.DefinitionError
	if errors.As(err, &mistake) {
		fmt.Println(mistake.Struct, mistake.Option)
	}
	// Output:
	// binding: list "departures": struct binding_test.Flight: option MaxPageSize(0): 0 is less than 1
	// binding: list "departures": struct binding_test.Flight: option Order("-delay"): order: unknown column "delay"
	// binding_test.Flight MaxPageSize(0)
}

// Board is one row of a table, as a var.
type Board struct {
	_     struct{} `socksync:"table=board; var=board; where=id = 1"`
	ID    int      `db:"id" json:"id" socksync:"pk"`
	Title string   `db:"title" json:"title"`
}

func ExampleVar() {
	board := binding.Var[Board]()
	fmt.Println(board, board.Tables, board.Validate())
	fmt.Println(board.Query)
	// Output:
	// var "board" [board] <nil>
	// SELECT "id", "title" FROM "board" WHERE (id = 1
	// ) LIMIT 2
}

func ExampleVar_column() {
	title := binding.Var[string](
		binding.Name("title"), binding.Table("board"), binding.Select("title"), binding.Where("id = 1"))
	fmt.Println(title, title.Type, title.Validate())
	// Output: var "title" string <nil>
}

func ExampleVar_query() {
	average := binding.Var[*float64](
		binding.Name("average_delay"), binding.Query("SELECT avg(delay_minutes)::float8 FROM flights", "flights"))
	fmt.Println(average, average.Type, average.Tables, average.Validate())
	// Output: var "average_delay" *float64 [flights] <nil>
}

// Each subscriber chooses the values of the parameters; NULL is what it does not
// choose.
func ExampleParams() {
	delay := binding.Var[*float64](binding.Name("delay"), binding.Params("airport"),
		binding.Query("SELECT avg(delay_minutes)::float8 FROM flights WHERE origin = @airport", "flights"))
	fmt.Println(delay, delay.Params, delay.Validate())

	err := binding.Var[int](binding.Name("x"), binding.Params("airport"), binding.Query("SELECT @airports", "flights")).Validate()
	fmt.Println(err != nil)
	// Output:
	// var "delay" [airport] <nil>
	// true
}

// Note is a row of which each subscriber sees its own.
type Note struct {
	_     struct{} `socksync:"table=notes; list=notes; where=owner = @user_id AND NOT archived"`
	Owner string   `db:"owner" json:"-" socksync:"pk"`
	ID    int64    `db:"id" json:"id" socksync:"pk"`
	Text  string   `db:"text" json:"text"`
}

// What the identity says already is no part of the key as it is published.
func ExampleList_identity() {
	notes := binding.List[Note]()
	fmt.Println(notes.IdentityNames(), notes.Key, notes.BoundKey(), notes.Validate())

	// An @ that is an operator has a space behind it.
	err := binding.List[Note](binding.Where("owner = @user_id AND tags <@allowed")).Validate()
	fmt.Println(err)
	// Output:
	// [user_id] [owner id] [owner] <nil>
	// binding: list "notes": struct binding_test.Note: option Where("owner = @user_id AND tags <@allowed"): where: a space is missing before @allowed, or behind the @ if it is an operator
}

// FlightFull is a row of a view over flights and airports.
type FlightFull struct {
	_       struct{} `socksync:"view=flights_full; list=full; table=flights; depends=airports.iata > flights.origin"`
	ID      int64    `db:"id" json:"id" socksync:"pk"`
	Origin  string   `db:"origin" json:"origin"`
	Airport string   `db:"airport" json:"airport"`
}

func ExampleView() {
	full := binding.List[FlightFull]()
	fmt.Println(full.Query, full.Depends, full.ReadTables(), full.Validate())
	// Output: SELECT * FROM "flights_full" [airports."iata" > flights."origin"] [flights airports] <nil>
}

// Chains lead from table to table until the rows of the list are known.
func ExampleDepends() {
	full := binding.List[FlightFull](
		binding.Query(`SELECT f.id, f.origin, a.name || ', ' || c.name AS airport FROM flights f
			JOIN airports a ON a.iata = f.origin JOIN countries c ON c.code = a.country`),
		binding.Depends("airports.iata > flights.origin", "countries.code > airports.country"))
	fmt.Println(full.ReadTables(), full.Validate())

	err := binding.List[FlightFull](binding.Depends("countries.code > airports.country")).Validate()
	fmt.Println(err)
	// Output:
	// [flights airports countries] <nil>
	// binding: list "full": struct binding_test.FlightFull: option Depends("countries.code > airports.country"): depends: countries."code" > airports."country": of airports it is not said which rows it concerns: it is not the list's table, nor does a term start with it
}

// Origin is a group, one for each origin.
type Origin struct {
	_       struct{} `socksync:"list=by_origin; depends=flights.origin; order=-flights, origin"`
	Origin  string   `db:"origin" json:"origin" socksync:"pk"`
	Flights int      `db:"flights" json:"flights"`
}

func ExampleList_groupBy() {
	const query = "SELECT origin, count(*) AS flights FROM flights GROUP BY origin"
	groups := binding.List[Origin](binding.Query(query))
	fmt.Println(groups.Depends, groups.Validate())
	// Output: [flights."origin"] <nil>
}

// The query is run as a whole when one of its tables has changed, twice a second
// at most.
func ExampleRecompute() {
	const query = "SELECT origin, rank() OVER (ORDER BY count(*)) AS flights FROM flights GROUP BY origin"
	ranks := binding.List[Origin](
		binding.Query(query), binding.Depends(), binding.Recompute(500*time.Millisecond, "flights"))
	fmt.Println(ranks.Recompute, ranks.Tables, ranks.Validate())
	// Output: 500ms [flights] <nil>
}

// Policies of Postgres decide which notes a subscriber has.
func ExampleRole() {
	notes := binding.List[Note](
		binding.Where("NOT archived"), binding.PrimaryKey("id"), binding.Role("app_user", "app.user_id @user_id"))
	fmt.Println(notes.Role, notes.Settings, notes.IdentityNames(), notes.Validate())
	// Output: app_user [{app.user_id user_id}] [user_id] <nil>
}

func ExampleVarDef() {
	total := &binding.VarDef{Name: "total", Query: "SELECT count(*) FROM flights", Tables: []string{"flights"}}
	fmt.Println(total, total.Validate())
	// Output: var "total" <nil>
}

func ExampleFunc() {
	type args struct {
		ID      int64 `json:"id"`
		Minutes int   `json:"minutes"`
	}
	delay := binding.Func("delay_flight", func(_ context.Context, a args) (Flight, error) {
		return Flight{ID: a.ID, DelayMinutes: &a.Minutes}, nil
	})
	result, err := delay.Call(context.Background(), json.RawMessage(`{"id": 7, "minutes": 15}`))
	text, _ := json.Marshal(result)
	fmt.Println(string(text), err)

	_, err = delay.Call(context.Background(), json.RawMessage(`{"id": "seven"}`))
	fmt.Println(err)
	// Output:
	// {"id":7,"departs_at":"0001-01-01T00:00:00Z","delay_minutes":15} <nil>
	// argument "id": want an integer in range, got string
}

func ExampleFuncDef() {
	ping := &binding.FuncDef{
		Name: "ping",
		Call: func(context.Context, json.RawMessage) (any, error) { return "pong", nil },
	}
	fmt.Println(ping, ping.Validate())
	// Output: function "ping" <nil>
}

func ExampleModel() {
	flight := binding.Model[Flight]()
	fmt.Println(flight.Table, flight.Key, flight.Validate())
	for _, c := range flight.Columns {
		fmt.Printf("%s %q %v\n", c.Name, c.JSON, c.Type)
	}
	// Output:
	// flights [id] <nil>
	// id "id" int64
	// departs_at "departs_at" time.Time
	// delay_minutes "delay_minutes" *int
	// note "" *string
}

func ExampleModelOf() {
	fmt.Println(binding.ModelOf(reflect.TypeFor[Flight]()).Table)
	// Output: flights
}

// In is where a column is scanned into.
func ExampleColumn_In() {
	flight := binding.Model[Flight]()
	row := flight.NewRow()
	id, _ := flight.Column("id")
	_, err := fmt.Sscan("7", id.In(row).Addr().Interface())
	fmt.Println(row.Field(1), err)
	// Output: 7 <nil>
}

func ExampleCheck() {
	err := binding.Check(binding.List[Flight](), binding.List[Flight](binding.Where("delay_minutes >= 30")))
	fmt.Println(err)
	// Output: binding: list "departures": the name is used twice
}

func ExamplePublishable() {
	v, err := binding.Publishable(sql.Null[int64]{})
	fmt.Println(v, err)
	// Output: <nil> <nil>
}

func ExampleParseTable() {
	table, err := binding.ParseTable(`Public."Odd Name"`)
	fmt.Println(table.Schema, table.Name, table.SQL(), err)
	// Output: public Odd Name "public"."Odd Name" <nil>
}

func ExampleParseOrder() {
	terms, err := binding.ParseOrder("-delay_minutes nulls last, id")
	fmt.Println(terms[0].SQL(), terms[1].SQL(), err)
	// Output: "delay_minutes" DESC NULLS LAST "id" ASC NULLS LAST <nil>
}

func ExampleQuoteIdent() {
	fmt.Println(binding.QuoteIdent(`x"; DROP TABLE flights; --`))
	// Output: "x""; DROP TABLE flights; --"
}
