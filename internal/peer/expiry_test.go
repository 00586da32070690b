package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// until are credentials of a user that end.
func until(user string, after time.Duration) Credentials {
	c := as(user)
	c.Expires = time.Now().Add(after)
	return c
}

const expiredMessage = `{"func":"error","error_code":11,"message":"credentials expired"}`

func expiredAbout(head string) string {
	return `{"func":"error",` + head + `,"error_code":11,"message":"credentials expired"}`
}

// byToken authenticates everybody who is not Eve, for a minute, or for ever if it is Ann.
func byToken(_ context.Context, token string) (Credentials, error) {
	switch token {
	case "eve":
		return Credentials{}, errors.New("a secret")
	case "late":
		return until("ann", -time.Second), nil
	case "panic":
		panic("a secret")
	case "ann":
		return as("ann"), nil
	}
	return until(token, time.Minute+300*time.Millisecond), nil
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, p := openedAs(t, &Config{Authenticate: byToken})
		for _, c := range [][2]string{
			{`"token":"eve","id":"1"`, `"id":"1","error_code":9,"message":"forbidden"`},
			{`"token":"late","id":"1"`, `"id":"1","error_code":9,"message":"forbidden"`},
			{`"token":"panic","id":"1"`, `"id":"1","error_code":9,"message":"forbidden"`},
			{`"token":"eve"`, `"error_code":9,"message":"forbidden"`},
			{`"id":"1"`, `"id":"1","error_code":4,"message":"missing field token"`},
			{`"token":null`, `"error_code":4,"message":"missing field token"`},
			{`"token":7,"id":"1"`, `"id":"1","error_code":8,"message":"token must be a string"`},
			{`"token":7,"id":7`, `"error_code":6,"message":"id must be a string of 1 to 128 bytes"`},
		} {
			p.takes(`{"func":"authenticate",` + c[0] + `}`)
			require.Equal(t, []string{`{"func":"error",` + c[1] + `}`}, p.says(), c[0])
		}
		isUser(t, "ann", l.options)
		l.sink.Step(oneRow(at(3, 1), at(3, 2)))
		p.takes(`{"func":"authenticate","token":"bob","id":"1"}`)
		require.Equal(t, []string{`{"func":"ok","id":"1","expires_in":60}`}, p.says())
		l.sink.Answer(at(3, 5), 1)
		require.Equal(t, []string{goesOn(at(3, 1), at(3, 5))}, p.says())
		p.takes(`{"func":"authenticate","token":"ann","id":"2"}`, `{"func":"authenticate","token":"ann"}`)
		require.Equal(t, []string{`{"func":"ok","id":"2"}`}, p.says())
		time.Sleep(time.Hour)
		require.Empty(t, p.says(), "these do not end")
	})
}

// After their end nothing is published, and nothing is answered but what ends something.
func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
			<-gate
			return json.RawMessage(`1`), nil
		})
		l := new(manual)
		p := newOfflineV2(t, &Config{Authenticate: byToken, ExpiryGrace: time.Hour, Limits: Limits{ReplyBytes: 400}}, l, f, memory.NewVar("v", 1))
		p.SetCredentials(until("ann", time.Minute))
		p.takes(onView("subscribe", ""), getByID("first"), `{"func":"subscribe","type":"var","name":"v"}`, subscribeFunction, callOf("a"), callOf("b"), callOf("c"))
		l.sink.Answer(at(0, 1), 1)
		gate <- struct{}{}
		synctest.Wait()
		l.sink.Step(oneRow(at(0, 1), at(0, 2)))
		require.Len(t, p.says(), 2)
		gate <- struct{}{}
		synctest.Wait()
		p.takes(getByID("waits"), getByID("waits too"))
		l.sink.Answer(at(0, 3), 1)

		time.Sleep(time.Minute)
		synctest.Wait()
		late := p.says()
		require.Len(t, late, 2)
		require.Contains(t, late[0], `"error_code":11`, "a result that was queued")
		require.Equal(t, expiredMessage, late[1])
		l.sink.Step(oneRow(at(0, 3), at(0, 4)))
		gate <- struct{}{}
		synctest.Wait()
		require.Len(t, p.says(), 1, "a result")
		for message, head := range map[string]string{
			getByID("g"):                     `"type":"list","name":"l","view":"w","id":"g"`,
			onView("subscribe", `,"id":"s"`): `"type":"list","name":"l","view":"w","id":"s"`,
			onView("pause", ""):              `"type":"list","name":"l","view":"w"`,
			callOf("z"):                      `"type":"function","name":"f","id":"z"`,
			`{"func":"get","type":"list","name":"not there","id":"n"}`:     `"type":"list","name":"not there","id":"n"`,
			`{"func":"nonsense","type":"var","name":"v"}`:                  `"type":"var","name":"v"`,
			`{"func":"step","type":"list","name":"l"}`:                     `"type":"list","name":"l"`,
			`{"func":"unsubscribe","type":"var","name":"v","view":"none"}`: `"type":"var","name":"v","view":"none"`,
		} {
			p.takes(message)
			require.Equal(t, []string{expiredAbout(head)}, p.says(), message)
		}
		p.takes(`{"func":"error","error_code":1}`, `{"func":"ok","id":"x"}`, `{"func":"unsubscribe","type":"var","name":"v","id":"u"}`)
		require.Equal(t, []string{okay("u")}, p.says())
		for range 100 {
			l.sink.Step(oneRow(at(0, 4), at(0, 5)))
		}
		require.Zero(t, p.out.waiting(), "the reader must not wait for what is not said")

		p.takes(`{"func":"authenticate","token":"eve","id":"e"}`)
		require.Len(t, p.says(), 1)
		p.takes(`{"func":"authenticate","token":"bob","id":"b"}`)
		require.Equal(t, []string{`{"func":"ok","id":"b","expires_in":60}`}, p.says())
		l.sink.Answer(at(0, 8), 2)
		require.Equal(t, []string{superseded("waits"), whole("waits too", 0, 8)}, p.says())
		time.Sleep(time.Minute + time.Second)
		require.Equal(t, []string{expiredMessage}, p.says(), "these end too")
		p.SetCredentials(as("bob"))
		l.sink.Step(oneRow(at(0, 8), at(0, 9)))
		require.Equal(t, []string{stepped("", 9)}, p.says())
		require.False(t, p.out.closing)
		time.Sleep(2 * time.Hour)
		require.False(t, p.out.closing)
	})
}

// What ends while nothing is published says no rows any more.
func TestEndsAfterExpiry(t *testing.T) {
	t.Parallel()
	l, p := openedAs(t, nil)
	p.takes(getByID("a"), onView("pause", `,"id":"p"`))
	l.sink.Answer(at(0, 5), 1)
	p.expire(p.changed())
	p.takes(onView("unsubscribe", `,"id":"u"`))
	require.Equal(t, []string{expiredMessage, superseded("a"), okay("p"), okay("u")}, p.says())
}

func TestRenew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type answer struct {
			c   Credentials
			err error
		}
		answers := make(chan answer)
		l, p := openedAs(t, &Config{
			ExpiryGrace: time.Hour,
			Renew: func(ctx context.Context, expired Credentials) (Credentials, error) {
				select {
				case a := <-answers:
					if a.err != nil && a.err.Error() == "panic" {
						panic(a.err)
					}
					a.c.Owner = fmt.Sprint(a.c.Owner, " after ", expired.Owner)
					return a.c, a.err
				case <-ctx.Done():
					return Credentials{}, ctx.Err()
				}
			},
		})
		p.SetCredentials(until("ann", time.Minute))
		time.Sleep(time.Minute)
		synctest.Wait()
		l.sink.Step(oneRow(at(3, 1), at(3, 2)))
		require.Empty(t, p.says(), "nothing before it is renewed")
		read := make(chan struct{})
		go func() { p.takes(getByID("g")); close(read) }()
		synctest.Wait()
		require.Len(t, l.wants, 1, "nothing is read")
		answers <- answer{c: until("ann", time.Minute)}
		<-read
		synctest.Wait()
		require.Len(t, l.wants, 2)
		require.Equal(t, []string{stepped("", 2)}, p.says())
		require.Equal(t, "ann after ann", p.Credentials().Owner)

		time.Sleep(time.Minute)
		synctest.Wait()
		p.SetCredentials(until("bob", time.Minute))
		answers <- answer{c: as("cy")}
		synctest.Wait()
		require.Equal(t, "bob", p.Credentials().Owner, "they have been changed meanwhile")

		for _, a := range []answer{{err: errors.New("a secret")}, {err: errors.New("panic")}, {c: until("bob", -time.Second)}} {
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Empty(t, p.says())
			answers <- a
			synctest.Wait()
			require.Equal(t, []string{expiredMessage}, p.says())
			p.SetCredentials(until("bob", time.Minute))
		}
		p.SetCredentials(until("bob", time.Minute))
		time.Sleep(time.Minute + time.Hour + time.Second)
		require.Equal(t, []string{expiredMessage}, p.says(), "it does not wait for ever")
	})
}

// Over a connection: version 1 is closed at once, version 2 after the grace, both also if they come too late.
func TestExpiryCloses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version protocol.Version
		expires time.Duration
		says    []string
	}{
		"version 1":         {protocol.V1, 20 * time.Millisecond, nil},
		"version 1 at once": {protocol.V1, -time.Hour, nil},
		"version 2":         {protocol.V2, 20 * time.Millisecond, []string{expiredMessage}},
		"version 2 at once": {protocol.V2, -time.Hour, []string{expiredMessage}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newRunning(&Config{Credentials: until("ann", c.expires), ExpiryGrace: 20 * time.Millisecond})
			p.Speak(c.version)
			tester := rawDial(t, p)
			tester.expect(c.says...)
			_, _, err := tester.ws.Read(t.Context())
			require.Error(t, err)
			require.Equal(t, protocol.CloseCredentialsExpired, wsconn.CloseStatus(<-p.ended))
		})
	}
}

// The end that dialed authenticates, and is told how long that lasts.
func TestAuthenticates(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	wait, err := p.BeginAuthenticate("a token")
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprintf(`{"func":"authenticate","token":"a token","id":%q}`, p.asked.tag+"1")}, p.says())
	p.takes(fmt.Sprintf(`{"func":"ok","id":%q,"expires_in":90}`, p.asked.tag+"1"))
	lasts, err := wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 90*time.Second, lasts)
	for _, expires := range []string{"", `,"expires_in":null`, `,"expires_in":-1`, `,"expires_in":1.5`, `,"expires_in":"x"`} {
		wait, err = p.BeginAuthenticate("t")
		require.NoError(t, err)
		p.takes(fmt.Sprintf(`{"func":"ok","id":"%s%d"%s}`, p.asked.tag, p.asked.given, expires))
		lasts, err = wait(t.Context())
		require.NoError(t, err)
		require.Zero(t, lasts)
	}
	wait, err = p.BeginAuthenticate("t")
	require.NoError(t, err)
	p.takes(fmt.Sprintf(`{"func":"ok","id":"%s%d","expires_in":9007199254740991}`, p.asked.tag, p.asked.given))
	lasts, err = wait(t.Context())
	require.NoError(t, err)
	require.Positive(t, lasts)
	wait, err = p.BeginAuthenticate("t")
	require.NoError(t, err)
	p.takes(fmt.Sprintf(`{"func":"error","id":"%s%d","error_code":9,"message":"no"}`, p.asked.tag, p.asked.given))
	_, err = wait(t.Context())
	require.ErrorIs(t, err, &protocol.Error{Code: protocol.Forbidden})
	require.NotErrorIs(t, err, &protocol.Error{Code: protocol.Other})
	require.Empty(t, p.asked.queries)
	_, err = p.BeginAuthenticate("\xff")
	require.ErrorContains(t, err, "UTF-8")
	wait, err = p.BeginAuthenticate("t")
	require.NoError(t, err)
	p.end(ErrClosed)
	_, err = wait(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	_, err = p.Authenticate(t.Context(), "t")
	require.ErrorIs(t, err, ErrClosed)
	_, err = newOffline(t, nil).Authenticate(t.Context(), "t")
	require.ErrorIs(t, err, ErrVersion)
}

// doubled is a list whose rows are the user.
type doubled struct {
	lists map[string]*memory.List[string]
}

func (d doubled) Name() string { return "l" }
func (d doubled) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	if old := o.Instead; old != nil {
		o.Instead = nil
		defer old.Close()
	}
	return d.lists[*o.Identity["user"]].Subscribe(sink, o)
}

// With everything at once, what is taken between two changes of credentials is of the one before.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	for _, version := range []protocol.Version{protocol.V1, protocol.V2} {
		lists := map[string]*memory.List[string]{"ann": memory.NewList[string]("l", nil), "bob": memory.NewList[string]("l", nil)}
		p := newOffline(t, &Config{Credentials: as("ann")}, doubled{lists}, memory.NewVar("v", 1))
		p.Speak(version)
		ended := make(chan struct{})
		running := make(chan struct{}, 4)
		begin := func(do func(n int)) {
			go func() {
				defer func() { running <- struct{}{} }()
				for n := 0; ; n++ {
					select {
					case <-ended:
						return
					default:
						do(n)
					}
				}
			}()
		}
		for user, l := range lists {
			require.NoError(t, l.Replace([]string{user}))
			begin(func(n int) {
				_ = l.Insert(0, fmt.Sprint(user, n))
				_ = l.Delete(1)
			})
		}
		p.takes(subscribeList, getPage(0))
		begin(func(n int) {
			p.takes([]string{getPage(n % 3), subscribeList, `{"func":"unsubscribe","type":"list","name":"l"}`, subscribeList, getPage(0)}[n%5])
		})
		var state atomic.Int64 // odd while it changes
		begin(func(int) {
			before := state.Load()
			messages := p.Next(nil)
			if before%2 == 1 || state.Load() != before {
				return
			}
			other := []string{`"bob`, `"ann`}[before/2%2]
			for _, m := range messages {
				if strings.Contains(string(m), other) {
					t.Errorf("to %d: %s", before/2%2, m)
				}
			}
		})
		for n := range 10 {
			state.Add(1)
			p.SetCredentials(as([]string{"bob", "ann"}[n%2]))
			state.Add(1)
			time.Sleep(10 * time.Microsecond) // for the others to run
		}
		close(ended)
		for range 4 {
			<-running
		}
	}
}
