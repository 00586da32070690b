package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// chromium finds the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.FailNow(t, "there is no browser: install chromium (Debian: apt-get install chromium), as make test does")
	return ""
}

// browser is a running Chromium.
type browser struct{ ctx context.Context }

// browse starts a browser that ends with the test.
func browse(t *testing.T) browser {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], // headless, with a new profile
		chromedp.ExecPath(chromium(t)), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	_, err := chromedp.Run(ctx, chromedp.Navigate("about:blank"))
	require.NoError(t, err, "start the browser")
	t.Cleanup(func() { require.NoError(t, chromedp.Cancel(ctx)) })
	return browser{ctx}
}

// tab is the page in a window of its own, with a profile of its own.
type tab struct {
	t     *testing.T
	ctx   context.Context
	close func() // closes it, if it has not complained; it may be called again

	mu       sync.Mutex
	errors   []string // what the console shows in red
	sent     []string // what the page sent over its WebSocket
	received []string // and what it got
}

// open opens the page of the program until the test ends.
func (b browser) open(t *testing.T, d *demo) *tab {
	t.Helper()
	return b.visit(t, "http://"+d.addr+"/")
}

// visit opens the page at an address until the test ends.
func (b browser) visit(t *testing.T, url string) *tab {
	t.Helper()
	p := &tab{t: t}
	p.ctx, _ = chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.close = sync.OnceFunc(func() {
		require.NoError(t, chromedp.Cancel(p.ctx))
		require.Empty(t, p.take())
	})
	t.Cleanup(func() { p.close() })
	_, err := chromedp.Run(p.ctx, chromedp.Navigate(url)) // the tab lives as long as this first context
	require.NoError(t, err)
	p.await(`document.querySelector("#status").textContent === "live"`)
	return p
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.errors = append(p.errors, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		p.errors = append(p.errors, fmt.Sprint("console.", e.Type)) // the page logs nothing
	case *cdplog.EventEntryAdded:
		p.errors = append(p.errors, fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text))
	case *network.EventWebSocketFrameSent:
		p.sent = append(p.sent, string(e.Response.PayloadData))
	case *network.EventWebSocketFrameReceived:
		p.received = append(p.received, string(e.Response.PayloadData))
	}
}

// take returns the errors so far and forgets them.
func (p *tab) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.errors = nil }()
	return p.errors
}

// frames is what went over the WebSocket, as far as the browser has told.
func (p *tab) frames() (sent, received []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent), slices.Clone(p.received)
}

func do[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(p.t, err)
	return value
}

// await waits until the page fulfills a condition.
func (p *tab) await(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingInterval(tick), chromedp.WithPollingTimeout(0)))
	if err != nil {
		require.FailNow(p.t, "the page did not come to fulfill "+condition, "%v\nerrors: %q\npage: %s", err, p.take(),
			do(p, chromedp.Evaluate[string]("document.body.innerText")))
	}
}

// shows waits until an element has a text.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("document.querySelector(%q)?.textContent === %s", selector, quote(text)))
}

func (p *tab) click(selector string) { p.t.Helper(); do(p, chromedp.Click(chromedp.CSS(selector))) }

// enter types a text in place of what is there, and leaves the field.
func (p *tab) enter(selector, text string) {
	p.t.Helper()
	do(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", selector)))
	do(p, chromedp.KeyEvent(text))
	do(p, chromedp.Blur(chromedp.CSS(selector)))
}

// choose takes an option of a select.
func (p *tab) choose(selector, value string) {
	p.t.Helper()
	do(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		"{ const s = document.querySelector(%q); s.value = %q; s.dispatchEvent(new Event('change')); }", selector, value)))
}

func quote(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
