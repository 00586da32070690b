package server_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// restless is a subscriber that comes, goes and moves all the time.
type restless struct {
	*follower
	random *rand.Rand
	held   bool        // subscribed, as far as we said
	want   map[int]int // errors that must come, by code
}

// do sends one message at random, some of which are wrong.
func (r *restless) do() {
	switch r.random.IntN(9) {
	case 0:
		r.send(`{"func":"unsubscribe_all"}`)
		r.held = false
	case 1:
		if !r.held {
			r.want[1]++
		}
		r.send(`{"func":"unsubscribe","type":"list","name":%q}`, r.name)
		r.held = false
	case 2, 3:
		r.send(`{"func":"subscribe","type":"list","name":%q}`, r.name)
		r.held = true
	case 4:
		if r.held {
			r.want[5]++
		} else {
			r.want[1]++
		}
		r.send(`{"func":"get","type":"list","name":%q,"page":-1}`, r.name)
	default:
		if !r.held {
			r.want[1]++
		}
		r.page, r.size = r.random.IntN(5), 1+r.random.IntN(9)
		r.get()
	}
}

// settle asks for a page that was never asked for, and takes everything up to it.
func (r *restless) settle() map[int]int {
	r.send(`{"func":"subscribe","type":"list","name":%q}`, r.name)
	r.page, r.size = r.random.IntN(4), 10+r.random.IntN(20)
	r.get()
	errors := map[int]int{}
	for {
		m := r.take()
		switch {
		case m.Func == "error":
			errors[m.ErrorCode]++
		case m.Func == "set_all" && *m.Page == r.page && *m.PageSize == r.size:
			require.NoError(r.t, r.state.apply(m))
			return errors
		}
	}
}

// TestRestlessSubscribers checks that whatever a connection asks for, every wrong
// message gets one error, and the page that it asks for last is exact.
func TestRestlessSubscribers(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, itemsTable)
	_, address := serve(t, pool, &server.Config{Migrate: true}, listItem(), listItem(binding.Name("odd"), binding.Where("id % 2 = 1"), binding.Order("-note")))
	queries := map[string]string{"items": fromItems, "odd": "SELECT id, n, note FROM items WHERE id % 2 = 1 ORDER BY note DESC, id"}
	var clients []*restless
	for name := range queries {
		for i := range uint64(5) {
			f := &follower{browser: dial(t, address), name: name}
			clients = append(clients, &restless{f, rand.New(rand.NewPCG(seed, i)), false, map[int]int{}})
		}
	}
	for round := range 8 {
		var work sync.WaitGroup
		for _, c := range clients {
			work.Go(func() {
				for range 40 {
					c.do()
				}
			})
		}
		for i := range 25 {
			exec(t, pool, "INSERT INTO items VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = excluded.n, note = excluded.note",
				(i*7+round)%40, i*round%11, string(rune('a'+i*5%26)))
			exec(t, pool, "DELETE FROM items WHERE id = $1", (i*3+round)%50)
		}
		work.Wait()
		for _, c := range clients {
			errors := c.settle()
			require.Equal(t, c.want, errors, c.name)
			c.held, c.want = true, map[int]int{}
			c.shows(answerOf[item](t, pool, queries[c.name], c.page, c.size))
		}
	}
}
