package main

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

// guest is what a browser tells of itself, in its var presence.
type guest struct {
	Name string `json:"name"`
}

// guests keeps the list of those who are connected.
type guests struct {
	list *memory.List[guest]
	log  *slog.Logger
	next atomic.Int64 // key of the next one
}

func newGuests(log *slog.Logger) *guests {
	return &guests{list: memory.NewList[guest]("viewers", nil), log: log}
}

// connected follows a browser's presence for as long as it is there. An error 3
// from it means that it does not provide the var or the function.
func (g *guests) connected(ctx context.Context, c *server.Conn) {
	key := strconv.FormatInt(g.next.Add(1), 10)
	_, err := client.FollowVar(c.Peer(), "presence", &client.VarOptions[*guest]{
		OnChange: func(who *guest) { g.present(key, who) },
		OnError:  func(error) { g.present(key, nil) },
	})
	if err := errors.Join(err, c.Peer().Subscribe("notice")); err != nil {
		g.log.Debug("a guest left at once", "error", err)
	}
	<-ctx.Done() // nothing arrives any more
	g.list.Remove(key)
}

// maxName is the longest name that is shown, in bytes.
const maxName = 200

// present shows a guest, or does not if there is nothing to show.
func (g *guests) present(key string, who *guest) {
	if who == nil || len(who.Name) > maxName {
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
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	var told atomic.Int64
	var wait sync.WaitGroup
	for _, c := range conns {
		wait.Go(func() {
			if _, err := client.Call[notice, any](ctx, c.Peer(), "notice", n); err == nil {
				told.Add(1)
			}
		})
	}
	wait.Wait()
	return int(told.Load()), nil
}
