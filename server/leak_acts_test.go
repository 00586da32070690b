package server_test

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

// act has a connection, or the server with it, do something.
func (v *vault) act(i int) {
	e, r := v.ears[i], v.random
	name := vaultNames[r.IntN(len(vaultNames))]
	switch r.IntN(16) {
	case 0, 1, 2, 3, 4:
		v.ask(e, name)
	case 5:
		e.say(`{"func":"unsubscribe","type":%q,"name":%q,"id":"ID"}`, typeOf(name), name)
		e.say(`{"func":"subscribe","type":%q,"name":%q,"id":"ID"}`, typeOf(name), name)
		v.ask(e, name)
	case 6, 7:
		if e.version == 2 {
			e.say(`{"func":%q,"type":"list","name":%q,"id":"ID"}`, []string{"pause", "resume"}[r.IntN(2)], name)
		}
	case 8, 9:
		e.become(v.desk, v.anyone())
		v.returns(e)
	case 10, 11:
		if e.version == 2 {
			e.token(v.anyone())
			e.mark()
			v.returns(e)
		}
	case 12:
		v.expire(i)
	case 13:
		e.silent()
		e.hangUp()
		v.ears[i] = v.ear(v.anyone(), e.version)
		v.ears[i].revs = e.revs // which were told to somebody else
	case 14, 15:
		e.say(`{"func":"subscribe","type":%q,"name":%q,"id":"ID"}`, typeOf(name), name)
	}
}

var vaultNames = strings.Split("mine mine both general team ruled joined joined grouped totals newest peek", " ")

// returns subscribes to what was refused before.
func (v *vault) returns(e *ear) {
	for range 3 {
		name := vaultNames[v.random.IntN(len(vaultNames))]
		e.say(`{"func":"subscribe","type":%q,"name":%q,"id":"ID"}`, typeOf(name), name)
		v.ask(e, name)
	}
}

// expire has the credentials end. A token renews those of version 2.
func (v *vault) expire(i int) {
	e := v.ears[i]
	over := e.may[len(e.may)-1].ended(nil)
	if e.version == 1 {
		v.desk.become(v.t, e.number, over)
		<-e.done
		e.silent()
		v.ears[i] = v.ear(v.anyone(), 1)
		return
	}
	e.mu.Lock()
	e.may = append(e.may, over)
	e.mu.Unlock()
	v.desk.become(v.t, e.number, over)
	e.until("error 11", func() bool { return e.expired })
	v.ask(e, vaultNames[v.random.IntN(len(vaultNames))])
	e.mark()
	e.token(v.anyone())
	e.mark()
	v.returns(e)
}

// ask asks for something, also for what is not the client's to ask for.
func (v *vault) ask(e *ear, name string) {
	switch typeOf(name) {
	case "var":
		e.say(`{"func":"get","type":"var","name":%q,"id":"ID"}`, name)
	case "function":
		e.say(`{"func":"call","type":"function","name":%q,"id":"ID","args":{}}`, name)
	default:
		fields := ""
		if e.version == 2 {
			fields = v.fields(e)
		} else {
			fields = fmt.Sprintf(`,"page":%d`, v.random.IntN(3))
		}
		e.say(`{"func":"get","type":"list","name":%q,"id":"ID"%s}`, name, fields)
	}
}

// fields are those of a get: a place, a choice and a rev, each good or bad, of what is the identity's or somebody else's.
func (v *vault) fields(e *ear) string {
	r, s := v.random, v.secrets
	some := func() int { return s.any(r.IntN(1 << 30)) }
	text := ""
	switch r.IntN(5) {
	case 0:
		text += `,"after":null,"page_size":30`
	case 1:
		text += fmt.Sprintf(`,"after":[%d]`, some())
	case 2:
		text += fmt.Sprintf(`,"page":%d,"page_size":%d`, r.IntN(4), 1+r.IntN(20))
	}
	column := vaultColumns[r.IntN(len(vaultColumns))]
	switch r.IntN(9) {
	case 0:
		text += fmt.Sprintf(`,"search":%q`, wordOf(some()))
	case 1:
		text += fmt.Sprintf(`,"filter":{"number":{%q:%d}}`, []string{"eq", "gt", "lte", "ne"}[r.IntN(4)], some())
	case 2:
		text += `,"filter":{"body":{"contains":"s7"}}`
	case 3:
		text += fmt.Sprintf(`,"filter":{%q:%q}`, column, "no such value")
	case 4:
		text += `,"filter":{"owner":"bob"}`
	case 5:
		text += `,"filter":{"user":"bob"},"user":"bob","identity":{"user":"bob"}`
	case 6:
		text += fmt.Sprintf(`,"filter":{"body":{"prefix":%q}}`, "@user")
	}
	if r.IntN(3) == 0 {
		text += fmt.Sprintf(`,"sort":[%q]`, []string{"", "-"}[r.IntN(2)]+column)
	}
	if len(v.ears) > 0 && r.IntN(3) == 0 {
		text += fmt.Sprintf(`,"rev":%q`, v.ears[r.IntN(len(v.ears))].someRev(r))
	}
	return text
}

// hearSomething checks that the connections were told secrets that they may see: nobody is safe because nothing is said.
func (v *vault) hearSomething() {
	told := 0
	for _, e := range v.ears {
		e.mark()
		e.silent()
		for _, text := range e.heard {
			told += len(secretTexts.FindAllString(text, -1))
		}
	}
	require.Greater(v.t, told, 1000)
}
