// Package headless opens pages in a real Chromium that nobody sees, for tests.
package headless

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"sync"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// names are those under which the browser is found.
var names = []string{
	"chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
}

// tick is how often a condition of a page is tried.
const tick = 10 * time.Millisecond

// Browser is a running Chromium. Its methods may be called by any goroutine.
type Browser struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// Start starts a browser with a new profile. It runs until Close.
func Start() (*Browser, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], // headless
		chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, _ = chromedp.NewContext(ctx)
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		cancel()
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	return &Browser{ctx, cancel}, nil
}

func find() (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no browser: install chromium (Debian: apt-get install chromium), as make test does")
}

// Close ends the browser and waits for it.
func (b *Browser) Close() error {
	err := chromedp.Cancel(b.ctx)
	b.cancel()
	return err
}

// Page is a page in a window with a profile of its own: no cookies but its own.
type Page struct {
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Open opens an address.
func (b *Browser) Open(url string) (*Page, error) {
	return open(b.ctx, url, chromedp.WithNewBrowserContext())
}

// Open opens an address in another window of the same profile.
func (p *Page) Open(url string) (*Page, error) { return open(p.ctx, url) }

func open(ctx context.Context, url string, options ...chromedp.ContextOption) (*Page, error) {
	p := &Page{}
	p.ctx, _ = chromedp.NewContext(ctx, append(options, chromedp.WithListener(p.listen))...)
	if _, err := chromedp.Run(p.ctx, chromedp.Navigate(url)); err != nil {
		return nil, fmt.Errorf("open %s: %w", url, err)
	}
	return p, nil
}

// listen collects what the browser's console shows of errors.
func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *cdplog.EventEntryAdded:
		p.complaints = append(p.complaints, fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text))
	}
}

// Complaints are the errors that the browser's console has shown.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...)
}

// Await waits until an expression of JavaScript is true. The error, if the context
// ends before, has the page's text.
func (p *Page) Await(ctx context.Context, condition string) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingInterval(tick), chromedp.WithPollingTimeout(0)))
	if err == nil {
		return nil
	}
	text, textErr := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return fmt.Errorf("the page did not come to fulfill %s: %w\ncomplaints: %q\npage: %s", condition, errors.Join(err, textErr), p.Complaints(), text)
}

// Enter types a text into a field in place of what is there.
func (p *Page) Enter(ctx context.Context, selector, text string) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void]("document.querySelector("+strconv.Quote(selector)+").select()")); err != nil {
		return fmt.Errorf("enter into %s: %w", selector, err)
	}
	_, err := chromedp.Run(ctx, chromedp.KeyEvent(text))
	return err
}

// Click clicks on an element when it can be seen.
func (p *Page) Click(ctx context.Context, selector string) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Click(chromedp.CSS(selector)))
	return err
}

// within is the page's context, with the end of another one.
func (p *Page) within(ctx context.Context) (context.Context, context.CancelFunc) {
	both, cancel := context.WithCancelCause(p.ctx)
	unbind := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return both, func() {
		unbind()
		cancel(nil)
	}
}
