package server_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// statement draws one statement.
func (c *crowd) statement() string {
	if c.random.IntN(2) == 0 {
		return c.docStatement()
	}
	return c.flightStatement()
}

// doc draws the id of a document; every other is one that an anchor is at.
func (c *crowd) doc() int {
	if len(c.hot) > 0 && c.random.IntN(2) == 0 {
		return c.hot[c.random.IntN(len(c.hot))]
	}
	return c.random.IntN(90)
}

// reheat finds out which documents anchors are at.
func (c *crowd) reheat() {
	c.hot = nil
	for _, l := range c.lines {
		for _, p := range l.panes {
			if id, err := strconv.Atoi(strings.Trim(p.anchor(), "[]")); err == nil && p.menu.table == "docs" {
				c.hot = append(c.hot, id)
			}
		}
	}
}

// anchor is where the window of a pane begins.
func (p *pane) anchor() string {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	if p.shown == nil {
		return ""
	}
	return p.shown.where.after
}

func (c *crowd) docStatement() string {
	r, kinds := c.random, docKinds()
	k := kinds[1+r.IntN(len(kinds)-1)]
	if len(c.hot) > 0 && r.IntN(4) == 0 {
		return fmt.Sprintf("UPDATE docs SET %s = %s WHERE id = %d", k.column, drawValue(r, k), c.hot[r.IntN(len(c.hot))])
	}
	switch r.IntN(14) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO docs VALUES (%d, %s) ON CONFLICT (id) DO UPDATE SET n = excluded.n, owner = excluded.owner", c.doc(), drawDoc(r))
	case 3:
		return fmt.Sprintf("INSERT INTO docs SELECT g, %s FROM generate_series(%d, %[2]d + 6) g ON CONFLICT DO NOTHING", drawDoc(r), c.doc())
	case 4:
		return fmt.Sprintf("UPDATE docs SET %s = %s WHERE id = %d", k.column, drawValue(r, k), c.doc())
	case 5:
		return fmt.Sprintf("UPDATE docs SET %s = %s WHERE id %% 11 = %d", k.column, drawValue(r, k), r.IntN(11))
	case 6, 7: // a row passes from one owner to another
		return fmt.Sprintf("UPDATE docs SET owner = %s WHERE id = %d", c.owner(), c.doc())
	case 8: // two change owners, in one statement
		one, other := c.doc(), c.doc()
		return fmt.Sprintf("UPDATE docs d SET owner = o.owner, team = o.team FROM docs o WHERE d.id IN (%d, %d) AND o.id = %[1]d + %[2]d - d.id", one, other)
	case 9:
		return fmt.Sprintf("UPDATE docs SET owner = %s WHERE owner = %s", c.owner(), c.owner())
	case 10:
		return fmt.Sprintf("UPDATE docs SET id = %d WHERE id = %d", c.doc(), c.doc())
	case 11:
		return fmt.Sprintf("DELETE FROM docs WHERE id = %d", c.doc())
	case 12:
		return fmt.Sprintf("UPDATE docs SET shared = NOT shared, tag = upper(tag), amount = amount + 0.00 WHERE id %% 7 = %d", r.IntN(7))
	}
	if r.IntN(10) == 0 {
		return "TRUNCATE docs"
	}
	return fmt.Sprintf("DELETE FROM docs WHERE owner = %s AND id %% 2 = %d", c.owner(), r.IntN(2))
}

func (c *crowd) owner() string { return quote(owners[c.random.IntN(len(owners))]) }
func (c *crowd) iata() string  { return quote(airports[c.random.IntN(len(airports))]) }
func (c *crowd) word() string  { return quote(vocabularyWords[c.random.IntN(len(vocabularyWords))]) }

func (c *crowd) country() string { return quote(countries[c.random.IntN(len(countries))]) }

// maybe is a value, or NULL.
func (c *crowd) maybe(value string) string {
	if c.random.IntN(8) == 0 {
		return "NULL"
	}
	return value
}

func (c *crowd) flightStatement() string {
	r := c.random
	flight, other := r.IntN(40), r.IntN(40)
	switch r.IntN(18) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO flights VALUES (%d, %s, %s, %d) ON CONFLICT (id) DO UPDATE SET delay = excluded.delay, origin = excluded.origin",
			flight, c.maybe(c.iata()), c.maybe(c.iata()), r.IntN(60))
	case 3:
		return fmt.Sprintf("UPDATE flights SET delay = %s WHERE id = %d", c.maybe(fmt.Sprint(r.IntN(60))), flight)
	case 4:
		return fmt.Sprintf("UPDATE flights SET origin = destination, destination = origin WHERE id %% 5 = %d", r.IntN(5))
	case 5:
		return fmt.Sprintf("UPDATE flights SET id = %d WHERE id = %d", other, flight)
	case 6:
		return fmt.Sprintf("DELETE FROM flights WHERE id BETWEEN %d AND %[1]d + %d", flight, r.IntN(3))
	case 7, 8, 9:
		return fmt.Sprintf("INSERT INTO bookings VALUES (%s, %d, %s) ON CONFLICT (who, flight) DO UPDATE SET seat = excluded.seat",
			c.owner(), flight, c.maybe(c.word()))
	case 10:
		return fmt.Sprintf("UPDATE bookings SET who = %s WHERE who = %s AND flight %% 3 = %d", c.owner(), c.owner(), r.IntN(3))
	case 11:
		return fmt.Sprintf("UPDATE bookings SET flight = %d, seat = %s WHERE flight = %d", other, c.word(), flight)
	case 12:
		return fmt.Sprintf("DELETE FROM bookings WHERE flight = %d OR who = %s AND flight %% 4 = 0", flight, c.owner())
	case 13:
		return fmt.Sprintf("INSERT INTO airports VALUES (%s, %s, %s) ON CONFLICT (iata) DO UPDATE SET name = excluded.name", c.iata(), c.maybe(c.word()),
			c.maybe(c.country()))
	case 14:
		return fmt.Sprintf("UPDATE airports SET iata = %s, name = %s WHERE iata = %s", c.iata(), c.word(), c.iata())
	case 15:
		return fmt.Sprintf("UPDATE airports SET country = %s WHERE iata <= %s", c.maybe(c.country()), c.iata())
	case 16:
		return fmt.Sprintf("INSERT INTO countries VALUES (%s, %s) ON CONFLICT (code) DO UPDATE SET label = excluded.label", c.country(), c.maybe(c.word()))
	}
	if r.IntN(3) > 0 {
		return fmt.Sprintf("INSERT INTO countries SELECT unnest('{%s}'::text[]), %s ON CONFLICT DO NOTHING", strings.Join(countries, ","), c.word())
	}
	table, key, value := "airports", "iata", c.iata()
	if r.IntN(2) == 0 {
		table, key, value = "countries", "code", c.country()
	}
	return strings.Join([]string{"DELETE FROM", table, "WHERE", key, "=", value}, " ")
}
