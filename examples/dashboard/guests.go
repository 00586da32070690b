package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

// guest is what a browser tells of itself, in its var presence.
type guest struct {
	Name string `json:"name"`
}

// guests keeps the list of those who are connected, and tells all of them things.
type guests struct {
	list *memory.List[guest]
	log  *slog.Logger
	next atomic.Int64
}

func newGuests(log *slog.Logger) *guests {
	return &guests{list: memory.NewList[guest]("viewers", nil), log: log}
}

// connected follows a browser's presence for as long as it is there. An error 3
// from it means that it does not provide the var or the function.
func (g *guests) connected(ctx context.Context, c *server.Conn) {
	key := strconv.FormatInt(g.next.Add(1), 10)
	presence := peer.NewRemoteVar("presence", &peer.VarOptions{OnChange: func(value json.RawMessage) { g.present(key, value) }})
	if err := errors.Join(c.Peer().Follow(presence), c.Peer().Subscribe("notice")); err != nil {
		g.log.Debug("a guest left at once", "error", err)
	}
	<-ctx.Done() // nothing arrives any more
	g.list.Remove(key)
}

// maxName is the longest name that is shown, in bytes.
const maxName = 200

// present shows a guest, or no longer if what it told is no name.
func (g *guests) present(key string, value json.RawMessage) {
	var who *guest
	if err := json.Unmarshal(value, &who); err != nil || who == nil || len(who.Name) > maxName {
		g.list.Remove(key)
		return
	}
	if err := g.list.Put(key, *who); err != nil {
		g.log.Error("show a guest", "error", err)
	}
}

// notice are the arguments of broadcast_notice, and of the browsers' notice.
type notice struct {
	Text *string `json:"text"`
}

// noticeTime is how long a browser may take to show a notice.
const noticeTime = 3 * time.Second

// broadcast calls the function notice of all peers at once, and returns how many
// returned in time.
func broadcast(ctx context.Context, conns []*server.Conn, n notice) (int, error) {
	if n.Text == nil {
		return 0, server.PublicError("a text is needed")
	}
	args, err := json.Marshal(n)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	var told atomic.Int64
	var wait sync.WaitGroup
	for _, c := range conns {
		wait.Go(func() {
			if _, err := c.Peer().Call(ctx, "notice", args); err == nil {
				told.Add(1)
			}
		})
	}
	wait.Wait()
	return int(told.Load()), nil
}
