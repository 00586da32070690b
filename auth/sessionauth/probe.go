package sessionauth

import (
	"context"
	"net/http"
	"strings"
)

// probe is a copy of a request for the middleware. It is a plain one: what a
// middleware does with a WebSocket is not wanted here. Its context has the end of
// ctx, but no values: a session that an outer middleware has put there would be
// taken for the present one for ever.
func probe(ctx context.Context, r *http.Request) *http.Request {
	bare := bareContext{ctx, r.Context()}
	p := r.Clone(bare)
	p.Body, p.ContentLength, p.TransferEncoding = http.NoBody, 0, nil
	for name := range p.Header {
		if name == "Connection" || name == "Upgrade" || strings.HasPrefix(name, "Sec-Websocket-") {
			p.Header.Del(name)
		}
	}
	return p
}

// bareContext has the values of net/http's own only.
type bareContext struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c bareContext) Value(key any) any {
	if key == http.ServerContextKey || key == http.LocalAddrContextKey {
		return c.values.Value(key)
	}
	return nil
}

// discard takes an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (d *discard) Header() http.Header { return d.header }

// Write implements http.ResponseWriter.
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (d *discard) WriteHeader(status int) { d.status = status }
