package binding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Option says one thing about a definition that [List] or [Var] makes. It
// overrides what the struct's tag says about the same. Each may be given once.
// The zero value is not valid.
type Option struct {
	key     key
	call    string // as in the program, for messages
	setting setting
}

// Name names the list or var. Every definition needs a name, of 1 to 128 bytes,
// in its tag or here.
func Name(name string) Option { return textOption(keyName, "Name", name) }

// Table names the table, as in SQL: flights, public.flights, "Odd Name".
func Table(name string) Option { return textOption(keyTable, "Table", name) }

// Where chooses the rows of a list, or the row of a var, by a condition in SQL
// over the columns of the row. @name in it is a value of the subscriber's
// identity. For the rest it is passed to Postgres as it is: it must not hold text
// that comes from a peer.
func Where(condition string) Option { return textOption(keyWhere, "Where", condition) }

// Order is the order of a list, in the grammar of [ParseOrder].
func Order(terms string) Option { return textOption(keyOrder, "Order", terms) }

// PageSize is the number of rows on a page when a subscriber asks for none;
// MaxPageSize when not given.
func PageSize(rows int) Option { return sizeOption(keyPageSize, "PageSize", rows) }

// MaxPageSize is the most rows that a page may have; 100 when not given.
func MaxPageSize(rows int) Option { return sizeOption(keyMaxPageSize, "MaxPageSize", rows) }

// MaxWindow is the most rows to which a subscriber's window can grow while it
// is scrolled; the greater of 1,000 and the maximum page size when not given.
func MaxWindow(rows int) Option { return sizeOption(keyMaxWindow, "MaxWindow", rows) }

// Filter names the columns that subscribers may filter by, each in the grammar
// of [ParseFilterRule], in place of all that tags say: Filter("origin",
// "delay_minutes(eq lt gt)"), or Filter("*"). Without rules they cannot filter.
func Filter(rules ...string) Option { return textsOption(keyFilter, "Filter", "", rules) }

// Sort names the columns that subscribers may sort by, as in SQL, in place of
// all that tags say; "*" is every published column that has an order. Without
// columns they cannot sort.
func Sort(columns ...string) Option { return textsOption(keySort, "Sort", "", columns) }

// Search names the columns of text that a subscriber's search looks into, as in
// SQL, in place of all that tags say. Without columns they cannot search.
func Search(columns ...string) Option { return textsOption(keySearch, "Search", "", columns) }

// Params names the parameters of a var with [Query], which the query has as
// @name; see [VarDef]. Without names it has none.
func Params(names ...string) Option { return textsOption(keyParams, "Params", "", names) }

// PrimaryKey names the key columns, as in SQL, in place of the fields tagged pk.
func PrimaryKey(columns ...string) Option { return textsOption(keyPK, "PrimaryKey", "", columns) }

// Select makes a var the value of one column, named as in SQL, of the one row
// that Table and Where choose.
func Select(column string) Option { return textOption(keySelect, "Select", column) }

// Query makes a var the result of a query. tables are those whose changes
// change the result, as in SQL; there is at least one. The query has one row
// and one column, or, when T is a struct with db tags, one row and columns with
// those names. Like Where it is part of the program.
//
// A list has the rows of the query, in place of those of a table; see
// [ListDef]. Its tables are named only if it has [Recompute]; else it is
// [Depends] that tells of them.
func Query(sql string, tables ...string) Option { return textsOption(keyQuery, "Query", sql, tables) }

// View makes a list of the rows of a view of the database, named as in SQL. It
// is [Query] with all columns of the view.
func View(name string) Option { return textOption(keyView, "View", name) }

// Depends says which rows of a list with [Query] or [View] are concerned when
// rows of a table change, in place of all that the tag says. A term is
//
//	table.column [> table.column]
//
// with names as in SQL, and (column, column) for several columns: see
// [Dependency]. Without > the values are the key of the list's row.
func Depends(terms ...string) Option { return textsOption(keyDepends, "Depends", "", terms) }

// Recompute has a list with [Query] or [View] read anew as a whole after
// changes of its tables, at most once in the interval, which is more than 0.
// The tables, as in SQL, may as well be named by Query or by the tag.
func Recompute(interval time.Duration, tables ...string) Option {
	o := textsOption(keyRecompute, "Recompute", interval.String(), tables)
	o.setting.text, o.setting.interval = "", interval
	return o
}

// Role has a list or var read under a role of the database, named as in SQL,
// whose policies of row-level security choose among the rows. A setting is for
// the policies, and made of a value of the subscriber's identity:
//
//	Role("app_user", "app.user_id @user_id")
//
// It is in place of what the tag says of role and settings.
func Role(role string, settings ...string) Option {
	return textsOption(keyRole, "Role", role, settings)
}

func textOption(k key, name, text string) Option {
	return Option{key: k, call: fmt.Sprintf("%s(%q)", name, text), setting: setting{text: text}}
}

func sizeOption(k key, name string, n int) Option {
	return Option{key: k, call: fmt.Sprintf("%s(%d)", name, n), setting: setting{number: n}}
}

func textsOption(k key, name, text string, texts []string) Option {
	args := make([]string, 0, 1+len(texts))
	switch {
	case k == keyRecompute:
		args = append(args, text)
	case text != "" || k == keyQuery || k == keyRole:
		args = append(args, strconv.Quote(text))
	}
	for _, s := range texts {
		args = append(args, strconv.Quote(s))
	}
	call := fmt.Sprintf("%s(%s)", name, strings.Join(args, ", "))
	return Option{key: k, call: call, setting: setting{text: text, texts: slices.Clone(texts)}}
}

// apply puts the options over the settings of the tag. allowed are the keys
// that the kind of definition takes; kind is its name in messages.
func (p *plan) apply(opts []Option, kind string, allowed ...key) {
	seen := map[key]bool{}
	for _, o := range opts {
		at := place{structName: p.src.structName, option: o.call}
		switch {
		case o.key == "":
			p.src.fail("", at, "an option without content")
			continue
		case !slices.Contains(allowed, o.key):
			p.src.fail(o.key, at, "misplaced option: a %s does not take it", kind)
			continue
		case seen[o.key]:
			p.src.fail(o.key, at, "repeated option")
			continue
		}
		seen[o.key] = true
		o.setting.at = at
		p.src.places[o.key] = at
		p.settings[o.key] = o.setting
		p.checkOption(o)
	}
}

// checkOption refuses what the tags cannot express either.
func (p *plan) checkOption(o Option) {
	s := o.setting
	at := p.src.places[o.key]
	switch o.key {
	case keyPageSize, keyMaxPageSize, keyMaxWindow:
		if s.number < 1 {
			p.src.fail(o.key, at, "%d is less than 1", s.number)
			delete(p.settings, o.key)
		}
	case keyPK:
		if len(s.texts) == 0 {
			p.src.fail(o.key, at, "no columns")
		}
	case keyRecompute:
		if s.interval <= 0 {
			p.src.fail(o.key, at, "%v is no time to wait", s.interval)
		}
	case keyFilter, keySort, keySearch, keyParams, keyDepends: // none is a thing to say
	default:
		if strings.TrimSpace(s.text) == "" {
			p.src.fail(o.key, at, "empty")
			delete(p.settings, o.key)
		}
	}
}
