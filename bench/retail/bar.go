package retail

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// bar draws progress on a terminal, and nothing elsewhere.
type bar struct {
	mu    sync.Mutex
	out   io.Writer
	total int
	done  int
}

func newBar(out io.Writer, total int) *bar {
	b := &bar{total: total}
	f, ok := out.(*os.File)
	if !ok {
		return b
	}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		b.out = out
	}
	return b
}

// width of the bar, in characters.
const width = 40

// step counts one order more and draws.
func (b *bar) step(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	if b.out == nil {
		return
	}
	full := width * b.done / b.total
	fmt.Fprintf(b.out, "\r[%s%s] %d of %d orders %s ", strings.Repeat("#", full), strings.Repeat(".", width-full), b.done, b.total, what)
}

func (b *bar) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = 0
}

func (b *bar) end() {
	if b.out != nil {
		fmt.Fprintln(b.out)
	}
}
