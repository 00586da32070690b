package wsconn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

const (
	// readBuffer is what an idle accepted connection reads into.
	readBuffer = 1 << 10

	// controlBuffer holds any control frame of a server, so that the library
	// writes each in one piece.
	controlBuffer = 2 + maxControl
)

// Accept makes a WebSocket of a request. If it fails it has answered the
// request. Who may connect is for the caller to decide before; only the origin is
// checked here. The handler may return after Accept, and should where many
// connections are idle, because net/http keeps its buffers until then; the
// context of the request ends with it.
func Accept(w http.ResponseWriter, r *http.Request, cfg *Config) (*Conn, error) {
	full, err := cfg.withDefaults()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	if !canHijack(w) {
		http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
		return nil, errors.New("wsconn: accept: the ResponseWriter cannot be hijacked")
	}
	c := newConn(&full)
	ws, err := websocket.Accept(&hijacker{ResponseWriter: w, link: &c.link}, r, &websocket.AcceptOptions{
		Subprotocols:       full.Subprotocols,
		OriginPatterns:     full.OriginPatterns,
		InsecureSkipVerify: full.InsecureSkipVerify,
	})
	if err != nil {
		return nil, fmt.Errorf("wsconn: accept: %w", err)
	}
	c.open(ws, &full)
	return c, nil
}

// canHijack reports whether the ResponseWriter, or one that it wraps, is a
// Hijacker.
func canHijack(w http.ResponseWriter) bool {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// hijacker is a ResponseWriter that hands the library the link instead of the
// socket.
type hijacker struct {
	http.ResponseWriter
	link *link
}

// Hijack implements http.Hijacker. The buffers of net/http (4 KiB each) are
// replaced by small ones.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("wsconn: hijack: %w", err)
	}
	ahead := make([]byte, rw.Reader.Buffered())
	if _, err := io.ReadFull(rw.Reader, ahead); err != nil {
		return nil, nil, fmt.Errorf("wsconn: hijack: %w", errors.Join(err, nc.Close()))
	}
	var in io.Reader = nc
	if len(ahead) > 0 {
		in = io.MultiReader(bytes.NewReader(ahead), nc)
	}
	h.link.attach(nc, in, nc)
	return h.link, bufio.NewReadWriter(
		bufio.NewReaderSize(h.link, readBuffer),
		bufio.NewWriterSize(h.link, controlBuffer),
	), nil
}

// WriteHeaderNow passes on what writers of gin need before they are hijacked.
func (h *hijacker) WriteHeaderNow() {
	if g, ok := h.ResponseWriter.(interface{ WriteHeaderNow() }); ok {
		g.WriteHeaderNow()
	}
}
