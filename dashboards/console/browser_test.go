//go:build real

package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/telemetry"
)

// browser is a tab of Chromium at the page of a business.
type browser struct {
	t       *testing.T
	ctx     context.Context
	address string

	stalled  atomic.Bool // the server answers nobody
	mu       sync.Mutex
	troubles []string // errors of the console, violations of the policy among them
}

func newBrowser(t *testing.T, h *house) *browser {
	t.Helper()
	b := &browser{t: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.stalled.Load() {
			<-r.Context().Done() // no answer, and no end
			return
		}
		h.page.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(streamtest.Real(t, "chromium")), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	b.ctx, b.address = ctx, srv.URL
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.run(command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}))
	return b
}

func (b *browser) listen(e any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case *log.EventEntryAdded:
		b.troubles = append(b.troubles, fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		b.troubles = append(b.troubles, fmt.Sprint("console: ", e.Type))
	case *runtime.EventExceptionThrown:
		b.troubles = append(b.troubles, "exception: "+e.ExceptionDetails.Text)
	}
}

// quiet wants no message since the last time that it was asked.
func (b *browser) quiet(what string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.troubles) > 0 {
		b.t.Errorf("%s: %s", what, strings.Join(b.troubles, "\n"))
	}
	b.troubles = nil
}

// answerTime bounds what is asked of the browser.
const answerTime = time.Minute

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, answerTime)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// command is one of the protocol's, as an action.
func command[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// get is what an action gives.
func get[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, answerTime)
	defer cancel()
	out, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// eval is what an expression gives on the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression))
}

// look sets what a person's screen is like.
func (b *browser) look(theme string, width int64) {
	b.t.Helper()
	b.run(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}), chromedp.EmulateViewport(width, 900))
}

// shoot keeps a picture of the whole page.
func (b *browser) shoot(dir, name string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".png"), get(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// pages of the business, by name.
func pagesOf(h *house) map[string]string {
	trace := ""
	for _, s := range h.traces.List(telemetry.Filter{Failed: true}, 1) {
		trace = s.ID
	}
	return map[string]string{"overview": "/", "sagas": "/sagas", "back": "/sagas?state=taken-back", "views": "/views", "documents": "/orders", "chosen": "/orders?state=cancelled&customer=17819", "stuck": "/sagas?state=stuck", "none": "/sagas?q=nobody", "shipped": "/orders/o-581564", "waiting": "/orders/o-581582",
		"declined": "/orders/o-581565", "parked": "/orders/o-581563", "traces": "/traces", "trace": "/traces/" + trace, "slos": "/slos", "slo": "/slos#slo-order-confirmation",
		"runbook": "/runbooks/ConfirmationLatencyBurn", "letters": "/dead-letters", "alerts": "/alerts", "faults": "/faults"}
}

// Every page, on a screen and on a telephone, by day and by night.
func TestPagesInABrowser(t *testing.T) {
	h := newBusiness(t)
	newBrowser(t, h).pages(pagesOf(h))
}

// The pages of another business can be read and used as well.
func TestPagesOfAnotherBusinessInABrowser(t *testing.T) {
	h := newHouseOf(t, school())
	fillSchool(h)
	newBrowser(t, h).pages(map[string]string{"school": "/", "school-outing": "/?saga=outing", "school-sagas": "/sagas", "school-views": "/views",
		"school-pupils": "/pupils", "school-pupil": "/pupils/bea", "school-trip": "/sagas/c3", "school-rooms": "/rooms", "school-room": "/rooms/lab"})
}

// pages looks at each, on a screen and on a telephone, by day and by night.
func (b *browser) pages(at map[string]string) {
	b.t.Helper()
	dir := os.Getenv("WEIR_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	for name, path := range at {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 360} {
				what := fmt.Sprintf("%s-%s-%d", name, theme, width)
				b.look(theme, width)
				b.run(chromedp.Navigate("about:blank"), chromedp.Navigate(b.address+path), chromedp.WaitReady("#main"))
				b.check(what)
				b.shoot(dir, what)
				b.reachable(what)
				b.quiet(what)
			}
		}
	}
}

// check wants no page that is wider than the screen, and text that can be read.
func (b *browser) check(what string) {
	b.t.Helper()
	if v := eval[[]int](b, `[document.scrollingElement.scrollWidth, innerWidth]`); v[0] > v[1] {
		b.t.Errorf("%s is %d px wide on a screen of %d: %v", what, v[0], v[1], eval[[]string](b, widest))
	}
	if faint := eval[[]string](b, contrast); len(faint) > 0 {
		b.t.Errorf("%s has faint text: %s", what, strings.Join(faint, "; "))
	}
}

// reachable goes through the page by Tab: everything that can be used is met,
// and shows that it is.
func (b *browser) reachable(what string) {
	b.t.Helper()
	n := eval[int](b, follow)
	for range n + 3 {
		b.run(chromedp.KeyEvent(kb.Tab))
	}
	if missed := eval[[]string](b, `missed()`); len(missed) > 0 {
		b.t.Errorf("%s: not reached by Tab, or not to be seen there, of %d: %s", what, n, strings.Join(missed, "; "))
	}
}

// tabTo presses Tab until the element in focus has this text or label.
func (b *browser) tabTo(label string) {
	b.t.Helper()
	for range 150 {
		b.run(chromedp.KeyEvent(kb.Tab))
		if eval[string](b, `(e => e.getAttribute("aria-label") || e.textContent.trim())(document.activeElement)`) == label {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %q", label)
}

// enter presses Enter and waits for the page to say something.
func (b *browser) enter(says string) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(kb.Enter))
	for range 100 {
		if strings.Contains(eval[string](b, `document.body ? document.body.innerText : ""`), says) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("the page never says %q, but: %s", says, eval[string](b, `document.body.innerText`))
}

// What a person has to decide can be done with the keyboard alone, with script
// and without.
func TestActingByKeyboard(t *testing.T) {
	for name, off := range map[string]bool{"with script": false, "without script": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.promises()
			h.breakables()
			h.letters = []console.Letter{{Service: "order", Decider: "order", Key: "o-1", Kind: "event", Name: "payment.declined", From: "payment.order/0@5", Reason: "no such order", Stack: "order.go:12", At: time.Now()}}
			b := newBrowser(t, h)
			b.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}))
			b.look("light", 1280)
			b.run(chromedp.Navigate(b.address + "/faults"))
			b.tabTo("Switch provider-slow on")
			b.enter("provider-slow is on.")
			b.enter("Broken on purpose")
			b.tabTo("Switch provider-slow off")
			b.enter("provider-slow is off.")

			b.run(chromedp.Navigate(b.address + "/dead-letters"))
			b.tabTo("Retry")
			b.enter("The retry worked. order o-1 flows again.")
			b.tabTo("Drop…")
			b.enter("The input is lost for good")
			b.tabTo("Drop payment.declined of o-1")
			b.enter("The input was dropped.")
			b.run(chromedp.Navigate(b.address + "/sagas?q=" + url.QueryEscape("nobody")))
			b.enter("Nothing is called")
			b.quiet(name)
		})
	}
}

// A page whose server answers no more says so, and since when; and is live again as
// soon as there is an answer.
func TestPageDoesNotFreezeInSilence(t *testing.T) {
	h := newHouse(t)
	b := newBrowser(t, h)
	b.run(chromedp.Navigate(b.address + "/"))
	says := func(expression, what string) {
		t.Helper()
		for range 300 {
			if eval[bool](b, expression) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("the page is never %s: %s", what, eval[string](b, `document.getElementById("live").innerText`))
	}
	stale := `document.getElementById("live").innerText.startsWith("not live: as of ") && document.body.classList.contains("stale")`
	b.run(chromedp.EmulateViewport(1280, 900))
	if eval[bool](b, stale) {
		t.Fatal("it is stale from the beginning")
	}
	b.stalled.Store(true)
	says(stale, "stale")
	b.stalled.Store(false)
	says("!("+stale+")", "live again")
}
