package server_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/server"
)

// TestLeakQueued has the identity of a connection change while much is to be sent to it that only the old one may see: it
// is held up. When it can be written to again it hears nothing of that after the news of the change.
func TestLeakQueued(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	for _, version := range []int{1, 2} {
		for name, change := range map[string]func(*ear, *who){
			"token": func(e *ear, w *who) {
				e.token(w)
				conn := v.desk.conn(t, e.number)
				eventually(t, "the token is taken", func() bool { return conn.Identity() == server.Identity(w) })
			},
			"server": func(e *ear, w *who) {
				e.grow(w)
				v.desk.become(t, e.number, w)
			},
			"expiry": func(e *ear, w *who) {
				over := v.people[0].ended(nil)
				e.grow(over, w)
				v.desk.become(t, e.number, over)
				v.desk.become(t, e.number, w)
			},
		} {
			if version == 2 || name == "server" { // version 1 has no tokens, and is closed at expiry
				t.Run(fmt.Sprintf("%s %d", name, version), func(t *testing.T) {
					outer := v.t
					defer func() { v.t = outer }()
					v.t = t
					v.queued(version, change)
				})
			}
		}
	}
}

// grow notes who the ear may be from now on.
func (e *ear) grow(w ...*who) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.may = append(e.may, w...)
}

// shrink notes that it is who it became.
func (e *ear) shrink() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.may = e.may[len(e.may)-1:]
}

// queued is the case for one kind of change.
func (v *vault) queued(version int, change func(*ear, *who)) {
	alice, bob := v.person(1), v.person(2)
	witness := v.ear(alice, 2)
	gate := v.gates.arm()
	e := v.ear(alice, version)
	for _, each := range []*ear{witness, e} {
		each.query(vaultNames)
	}
	e.say(`{"func":"pause","type":"list","name":"general","id":"ID"}`)
	gate.set(true)
	for i := range 6 {
		number := v.refresh("bob") // the person 1 is bob: see users
		witness.hears(wordOf(number), len(seenIn)-3)
		if i == 0 {
			gate.await() // whatever is being written is older than what follows
		}
		e.say(`{"func":"get","type":"list","name":"mine","id":"ID"}`)
	}
	e.say(`{"func":"resume","type":"list","name":"general","id":"ID"}`)
	e.say(`{"func":"call","type":"function","name":"peek","args":{},"id":"ID"}`)
	change(e, bob)
	gate.set(false)
	e.mark()
	e.shrink()
	for range 3 {
		v.refresh("bob")
		v.refresh("carol")
	}
	e.query(vaultNames)
	e.silent()
	e.hangUp()
	witness.hangUp()
}

// person is who owns the rows of a user, by the number of the user.
func (v *vault) person(i int) *who { return v.people[i] }

// refresh changes the newest row of a user, and returns the secret that it has now.
func (v *vault) refresh(user string) (number int) {
	ids := v.owned(user)
	of := v.rows[slices.Max(ids)]
	number = v.secrets.fresh()
	v.secrets.tell(number, of)
	v.exec(fmt.Sprintf("UPDATE rows SET (body, number, at, price, tags, note) = (%s) WHERE id = %d", v.secrets.values(number), slices.Max(ids)))
	return number
}

// hears waits until as many messages have a text.
func (e *ear) hears(text string, times int) {
	e.t.Helper()
	e.until(text, func() bool {
		n := 0
		for _, message := range e.heard {
			if strings.Contains(message, text) {
				n++
			}
		}
		return n >= times
	})
}

// TestLeakExpired has rows change, and much be asked, after the credentials have ended: the answers are that they have.
func TestLeakExpired(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	witness, e := v.ear(v.person(1), 2), v.ear(v.person(1), 2)
	for _, each := range []*ear{witness, e} {
		each.query(vaultNames)
	}
	over := v.person(1).ended(nil)
	e.grow(over)
	v.desk.become(t, e.number, over)
	e.until("error 11", func() bool { return e.expired })
	for range 6 {
		number := v.refresh("bob")
		for range 10 {
			v.ask(e, vaultNames[v.random.IntN(len(vaultNames))])
		}
		e.say(`{"func":"pause","type":"list","name":"mine","id":"ID"}`)
		e.say(`{"func":"resume","type":"list","name":"mine","id":"ID"}`)
		witness.hears(wordOf(number), len(seenIn)-3)
		e.mark()
		e.silent()
	}
	e.token(v.person(1))
	e.mark()
	e.hears(wordOf(v.refresh("bob")), 3)
	e.silent()
}

// TestLeakSilence changes the rows of others: who does not see them hears nothing, not even that something happened.
func TestLeakSilence(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	bob, carol, both := v.ear(v.person(1), 2), v.ear(v.person(2), 2), v.ear(v.person(1), 1)
	for _, e := range []*ear{bob, carol, both} {
		e.query(vaultNames)
	}
	for _, e := range []*ear{bob, both} { // from now on it is the first everywhere
		e.hears(wordOf(v.refresh("bob")), 3)
		e.query(vaultNames)
	}
	for range 20 {
		before := []int{len(bob.all()), len(both.all())}
		v.exec(v.insertOwn("carol"))
		v.exec(v.insertOwn("carol"))
		carol.hears(wordOf(v.refresh("carol")), 3)
		v.exec(v.remove(slices.Max(v.owned("carol"))))
		carol.hears(wordOf(v.refresh("carol")), 3)
		v.exec(v.remove(slices.Max(v.owned("carol"))))
		number := v.refresh("bob")
		bob.hears(wordOf(number), 3)
		both.hears(wordOf(number), 3)
		for i, e := range []*ear{bob, both} {
			for _, message := range e.all()[before[i]:] {
				require.Regexp(t, secretTexts, message, "that something else happened was told") // what was is its own
			}
		}
	}
	for _, e := range []*ear{bob, carol, both} {
		e.mark()
		e.silent()
	}
}

func (e *ear) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// TestLeakExistence asks for rows of others and for rows that there are not: the answers are the same.
func TestLeakExistence(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	bob, carol := v.ear(v.person(1), 2), v.ear(v.person(2), 2)
	bob.query(vaultNames)
	carol.query(vaultNames)
	theirs := slices.Max(v.owned("carol"))
	nobodys := v.secrets.fresh()
	word := v.refresh("carol")
	for _, name := range []string{"mine", "both", "ruled", "joined"} {
		for _, fields := range []string{
			`,"after":[KEY]`, `,"filter":{"id":KEY}`, `,"filter":{"number":{"gte":NUMBER,"lte":NUMBER}}`, `,"search":"sNUMBERx"`,
			`,"filter":{"body":{"prefix":"sNUMBERx"}}`, `,"sort":["-id"],"after":[KEY]`, `,"filter":{"owner":"NUMBER"}`, `,"filter":{"at":"NUMBER"}`,
		} {
			about := func(key, number int) string {
				return strings.NewReplacer("KEY", strconv.Itoa(key), "NUMBER", strconv.Itoa(number)).Replace(fields)
			}
			one, other := bob.answerTo(name, about(theirs, word)), bob.answerTo(name, about(nobodys, nobodys))
			same := strings.NewReplacer(strconv.Itoa(theirs), "N", strconv.Itoa(nobodys), "N", strconv.Itoa(word), "N")
			require.Equal(t, same.Replace(other), same.Replace(one), "%s %s", name, fields)
		}
		for _, rev := range carol.revs {
			answer := bob.answerTo(name, fmt.Sprintf(`,"rev":%q`, rev))
			require.Contains(t, answer, `"func":"set_all"`, "somebody else's state")
		}
	}
	bob.silent()
}

// answerTo returns the answer to a get, without its id and rev.
func (e *ear) answerTo(name, fields string) string {
	e.t.Helper()
	id := e.say(`{"func":"get","type":"list","name":%q,"id":"ID"%s}`, name, fields)
	var answer string
	e.until("the answer", func() bool {
		i := slices.IndexFunc(e.heard, func(text string) bool { return strings.Contains(text, `"id":"`+id+`"`) })
		if i >= 0 {
			answer = e.heard[i]
		}
		return i >= 0
	})
	return revText.ReplaceAllString(strings.ReplaceAll(answer, id, "ID"), "")
}
