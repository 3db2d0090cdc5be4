//go:build real

package dashboards

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// pictures is where the boards' pictures are written, to be looked at.
const pictures = "WEIR_PICTURES"

// tab is Chromium at a board.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	troubles []string
}

func openTab(t *testing.T, chromium string) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	x := &tab{ctx: ctx}
	err := chromedp.Listen(ctx, func(e any) {
		x.mu.Lock()
		defer x.mu.Unlock()
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			x.troubles = append(x.troubles, e.ExceptionDetails.Exception.Description)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError {
				x.troubles = append(x.troubles, string(e.Args[0].Value))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	on := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, runtime.Enable, cdp.Empty{})
		return err
	})
	if err := chromedp.Do(ctx, on); err != nil {
		t.Fatal(err)
	}
	return x
}

// drawing is what a panel shows, as the page finds it.
type drawing struct {
	Title, Type string
	Nothing     string
	Text        string
	Values      int      // that lie within the panel, and not over one another
	Cut         []string // texts that are
}

// readPanels looks at what was drawn, where it lies.
const readPanels = `[...document.querySelectorAll('[data-panel]')].map(p => {
	const body = p.querySelector('[data-body]').getBoundingClientRect();
	const at = [...p.querySelectorAll('[data-value]')].map(v => (v.firstElementChild ?? v).getBoundingClientRect()).map(r => [(r.left + r.right) / 2, (r.top + r.bottom) / 2]);
	const seen = new Set(at.filter(([x, y]) => x > body.left && x < body.right && y > body.top && y < body.bottom).map(c => c.map(Math.round).join()));
	const texts = e => [...e.childNodes].filter(n => n.nodeType === 3 && n.textContent.trim()).map(n => { const r = document.createRange(); r.selectNode(n); return r.getBoundingClientRect(); });
	const beyond = p.dataset.type === 'bargauge' || p.dataset.type === 'stat' ? [...p.querySelectorAll('[data-value] *')].filter(e => texts(e).some(r => r.right > body.right + 1 || r.left < body.left - 1)) : [];
	const cut = [...p.querySelectorAll('[data-body] *')].filter(e => e.children.length === 0 && e.textContent.trim() && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'hidden');
	return {Title: p.dataset.panel, Type: p.dataset.type, Nothing: p.querySelector('[data-nothing]')?.textContent ?? '', Text: p.querySelector('[data-body]').textContent, Values: seen.size, Cut: [...cut, ...beyond].map(e => e.textContent.trim())};
})`

// look draws a board, and keeps its picture under a name.
func (x *tab) look(t *testing.T, url string, b Board, name string) []drawing {
	t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, 2*time.Minute)
	defer cancel()
	x.mu.Lock()
	x.troubles = nil
	x.mu.Unlock()
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1600, 1200), chromedp.Navigate(url+"/?board="+b.ID()), chromedp.WaitReady("#drawn"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chromedp.Run(ctx, chromedp.Evaluate[[]drawing](readPanels))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv(pictures); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, trouble := range x.troubles {
		t.Error(trouble)
	}
	if len(all) != len(b.all()) {
		t.Fatalf("%d panels were drawn, there are %d", len(all), len(b.all()))
	}
	return all
}
