package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// stagedMark is in the names of files for files.
const stagedMark = ".file-"

// Beside looks which files there are.
func (l *Live) Beside(context.Context) (out analytics.Beside, err error) {
	n, err := l.current()
	if err != nil {
		return out, err
	}
	out.Shadow, out.Old = isThere(l.file(n+1)), n > 0 && isThere(l.file(n-1))
	prefix := l.base() + stagedMark
	files, err := filepath.Glob(escaped(prefix) + "*" + filepath.Ext(l.path))
	for _, f := range files {
		out.Staged = append(out.Staged, strings.TrimSuffix(strings.TrimPrefix(f, prefix), filepath.Ext(l.path)))
	}
	return out, err
}

// escaped is a path as a pattern of itself.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Shadow opens the file that comes next.
func (l *Live) Shadow(context.Context) (analytics.Store, error) {
	n, err := l.current()
	if err != nil {
		return nil, err
	}
	return Open(l.file(n+1), l.schema)
}

// Staging opens a file for a file.
func (l *Live) Staging(_ context.Context, name string) (analytics.Store, error) {
	return Open(l.staged(name), l.schema)
}

func (l *Live) staged(name string) string {
	return l.base() + stagedMark + filepath.Base(name) + filepath.Ext(l.path)
}

// Swap has the next file answer. Nobody writes the one before it meanwhile.
func (l *Live) Swap(ctx context.Context, newest int64) error {
	h, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	if !isThere(l.file(h.number + 1)) {
		return fmt.Errorf("there is no %s to swap for", l.file(h.number+1))
	}
	tx, err := h.Writer.BeginTx(ctx, nil)
	if err != nil {
		return sqlitefile.Failed("analytics cannot be swapped", err)
	}
	defer tx.Rollback()
	last, err := lastBlock(ctx, tx)
	if err != nil {
		return err
	}
	if last.Number != newest {
		return fmt.Errorf("block %d was written after %d: %w", last.Number, newest, projection.ErrFenced)
	}
	return l.point(h.number + 1)
}

// point writes the note, which is there as a whole or not at all, also after the power went.
func (l *Live) point(n int) error {
	path := l.note() + ".new"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(n) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path, l.note())
}

// Drop removes files.
func (l *Live) Drop(_ context.Context, what string) error {
	n, err := l.current()
	if err != nil {
		return err
	}
	path := l.staged(what)
	switch {
	case what == analytics.ShadowTables:
		path = l.file(n + 1)
	case what == analytics.OldTables && n == 0:
		return nil
	case what == analytics.OldTables:
		path = l.file(n - 1)
	}
	var errs []error
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
