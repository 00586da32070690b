package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/socksync/socksync/server"
)

// who is an identity: what the application makes of a token.
type who struct {
	name    string
	values  map[string]any
	refused map[string]bool // items that it may not use
	ends    time.Time       // the zero time is never
	next    *who            // who it becomes when it ends; nil for nobody
}

// IdentityValues implements server.Valuer.
func (w *who) IdentityValues() map[string]any { return w.values }

// Expires implements server.Expirer.
func (w *who) Expires() time.Time { return w.ends }

// Renew implements server.Renewer.
func (w *who) Renew(context.Context) (server.Identity, error) {
	if w.next == nil {
		return nil, errors.New("there is nobody next")
	}
	return w.next, nil
}

func (w *who) String() string {
	if w == nil {
		return "nobody"
	}
	return fmt.Sprintf("%s %v, not %v", w.name, w.values, w.refused)
}

// ended is the same identity at its end.
func (w *who) ended(next *who) *who {
	over := *w
	over.ends, over.next = time.Now().Add(-time.Second), next
	return &over
}

var placeholder = regexp.MustCompile(`@([a-z_0-9]+)`)

// fill puts the values of the identity into a condition, as literals.
func (w *who) fill(condition string) string {
	if w == nil {
		return condition
	}
	return placeholder.ReplaceAllStringFunc(condition, func(name string) string { return literal(w.values[name[1:]]) })
}

// literal is a value in SQL, as a text that Postgres takes for what the place wants.
func literal(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case []string:
		quoted := make([]string, len(v))
		for i, text := range v {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		}
		return quote("{" + strings.Join(quoted, ",") + "}")
	}
	return quote(fmt.Sprint(value))
}

// mayUse reports whether the identity may use a list: it is let, and it has all values.
func (w *who) mayUse(m *menu) bool {
	for _, name := range placeholder.FindAllStringSubmatch(m.where, -1) {
		if _, ok := w.values[name[1]]; !ok {
			return false
		}
	}
	return !w.refused[m.name]
}

var (
	owners = strings.Split(`alice|bob|O'Brien|{a,"b"}|Ω\|A|a`, "|")
	teams  = strings.Split(`red|green|a b|"q"|NULL|{}`, "|")
	prices = []string{"0", "1.0", "1.00", "1", "-3.50", "1e20", "NaN"}
)

// drawWho draws an identity. Several have the same values.
func drawWho(r *rand.Rand, name string, menus []*menu) *who {
	w := &who{name: name, values: map[string]any{
		"user": owners[r.IntN(len(owners))], "teams": []string{}, "tag": vocabularyWords[r.IntN(len(vocabularyWords))],
		"price": prices[r.IntN(len(prices))], "level": r.IntN(100), "admin": r.IntN(8) == 0,
	}, refused: map[string]bool{}}
	for range r.IntN(4) {
		w.values["teams"] = append(slices.Clone(texted(w.values["teams"])), teams[r.IntN(len(teams))])
	}
	for _, name := range []string{"user", "teams", "tag", "price", "level", "admin"} {
		switch r.IntN(24) {
		case 0:
			delete(w.values, name)
		case 1:
			w.values[name] = nil
		}
	}
	for _, m := range menus {
		w.refused[m.name] = r.IntN(8) == 0
	}
	if r.IntN(3) == 0 {
		w.ends = time.Now().Add(time.Hour)
	}
	return w
}

func texted(value any) []string {
	texts, _ := value.([]string)
	return texts
}
