package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// oldStage is a stage with a guest of version 1, who follows a page of the list and the var.
type oldStage struct {
	*stage
	page   protocol.Page
	told   bool // the number of rows
	listed bool // it is subscribed to the list
	value  int
	held   bool // it has a value
}

func newOldStage(t *testing.T, seed uint64) *oldStage {
	s := &stage{t: t, r: rand.New(rand.NewPCG(seed, 3)), list: newPersonal(), value: newPersonalVar(), user: "ann"}
	s.p = newOffline(t, &Config{Credentials: s.credentials("ann"), ExpiryGrace: 1000 * time.Hour, Authorize: notDanList, Renew: s.renew}, s.list, s.value)
	return &oldStage{stage: s}
}

func notDanList(_ context.Context, owner any, kind protocol.ItemType, _ string) error {
	if owner == "dan" && kind == protocol.TypeList {
		return errors.New("not Dan")
	}
	return nil
}

// deliver takes what the peer says, all of which is for whose the connection is.
func (s *oldStage) deliver() {
	for _, text := range s.p.says() {
		f, err := protocol.Parse([]byte(text))
		require.NoError(s.t, err, text)
		if f.Func == protocol.FuncError {
			continue
		}
		require.False(s.t, s.renewing, "said when the credentials had ended: %s", text)
		if f.Type == protocol.TypeVar {
			var m struct{ Value int }
			require.NoError(s.t, json.Unmarshal([]byte(text), &m))
			s.isMine(text, m.Value)
			s.value, s.held = m.Value, true
			continue
		}
		require.True(s.t, s.listed, text)
		applied, err := s.page.Apply(&f)
		require.NoError(s.t, err, text)
		s.told = s.told || applied
		for _, item := range s.page.Items {
			var n int
			require.NoError(s.t, json.Unmarshal(item, &n))
			if f.Func == protocol.FuncSetAll {
				s.isMine(text, n)
			}
		}
		if v := struct{ Value *int }{}; json.Unmarshal([]byte(text), &v) == nil && v.Value != nil {
			s.isMine(text, *v.Value)
		}
	}
}

func (s *oldStage) isMine(text string, n int) {
	require.Equal(s.t, slices.Index(users, s.user)+1, n/1000, "of another user: %s", text)
}

// follow subscribes to the list.
func (s *oldStage) follow() {
	if !s.listed && s.user != "dan" {
		s.p.takes(subscribeList)
		s.page.Reset()
		s.listed, s.told = true, false
	}
}

// become is called when the credentials have been changed. The list is not Dan's.
func (s *oldStage) become() {
	if s.user == "dan" {
		s.listed = false
	}
}

func (s *oldStage) act() {
	open := s.list.open()
	switch n := s.r.IntN(15); n {
	case 0, 1:
		s.change()
	case 2:
		s.stage.value.set(s.r)
		s.list.late(s.r)
		s.stage.value.late(s.r)
	case 3, 4, 5:
		s.deliver()
	case 6, 7:
		if len(open) > 0 {
			open[s.r.IntN(len(open))].answer()
		}
		s.stage.value.answer(s.r)
	case 8:
		if len(open) > 0 && s.r.IntN(3) == 0 {
			open[s.r.IntN(len(open))].refuse()
		}
		s.stage.value.refuse(s.r)
	case 9:
		user := users[s.r.IntN(len(users))]
		s.p.SetCredentials(s.credentials(user))
		s.stage.become(user)
	case 10:
		if s.r.IntN(3) == 0 {
			s.expire()
		}
	case 11:
		s.renewed(users[s.r.IntN(len(users))])
	default:
		if s.r.IntN(8) == 0 && !s.renewing {
			s.goesOn()
		} else if !s.renewing {
			s.say(n - 12)
		}
	}
	s.become()
	if s.r.IntN(4) == 0 {
		time.Sleep(time.Duration(s.r.IntN(1500)) * time.Millisecond) // of the bubble
		synctest.Wait()
	}
}

// say has the other end say something.
func (s *oldStage) say(n int) {
	switch n {
	case 0:
		s.follow()
		if s.r.IntN(3) == 0 && s.listed {
			s.p.takes(getPage(s.r.IntN(3)))
		}
	case 1:
		if s.listed && !s.waits() {
			s.p.takes(badGet)
		} else if s.listed && s.r.IntN(3) == 0 {
			s.p.takes(`{"func":"unsubscribe","type":"list","name":"l"}`)
			s.listed = false
		}
	default:
		s.p.takes(subscribeVar, getV1Var)
	}
}

// waits reports whether a get waits for its answer. After a bad one, the reader would wait for that too.
func (s *oldStage) waits() bool {
	return slices.ContainsFunc(s.list.open(), func(o *personalSubscription) bool {
		_, waits := o.waits()
		return waits
	})
}

// rest ends with everything answered, and requires that what is held is what it is to the user, whether or not that was
// asked for.
func (s *oldStage) rest() {
	if s.renewing || s.user == "dan" {
		s.p.SetCredentials(s.credentials("bob"))
		s.stage.become("bob")
	}
	s.renewed("cy")
	s.goesOn()
	s.follow()
	s.p.takes(getPage(0))
	s.settle()
	require.Equal(s.t, [2]int{0, 2}, [2]int{s.page.Page, s.page.PageSize})
	s.rests()
	require.Zero(s.t, s.p.out.waiting())
}

// goesOn requires, with everything answered, that what is held is what it is to the user.
func (s *oldStage) goesOn() {
	s.settle()
	if s.told && s.listed {
		require.Equal(s.t, s.stage.list.lists[s.user].Len(), s.page.Total)
	}
	if s.page.Held && s.listed {
		s.rests()
	}
	if s.held {
		require.Equal(s.t, s.stage.value.vars[s.user].Get(), s.value)
	}
}

func (s *oldStage) rests() {
	rows := s.stage.list.lists[s.user].All()
	begin := min(len(rows), s.page.Page*s.page.PageSize)
	want, err := json.Marshal(append([]int{}, rows[begin:min(len(rows), begin+s.page.PageSize)]...))
	require.NoError(s.t, err)
	got, err := json.Marshal(append([]json.RawMessage{}, s.page.Items...))
	require.NoError(s.t, err)
	require.Equal(s.t, string(want), string(got), "page %d", s.page.Page)
}

func (s *oldStage) settle() {
	for range 4 {
		for _, o := range s.list.open() {
			o.answer()
		}
		for _, o := range s.stage.value.open() {
			o.answer()
		}
		time.Sleep(2 * restoreInterval) // of the bubble
		synctest.Wait()
		s.deliver()
	}
}

// TestCredentialsOfVersion1AtRandom is TestCredentialsAtRandom for version 1: pages go on by themselves, from what was
// taken to what is there for whose the connection is.
func TestCredentialsOfVersion1AtRandom(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) {
				s := newOldStage(t, seed)
				s.follow()
				for range 300 {
					s.act()
				}
				s.rest()
			})
		})
	}
}
