package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// journal appends what happened as lines of JSON. It survives a killed process,
// not a lost machine: nothing is synced to disk.
type journal struct{ file *os.File }

// openJournal replays the lines of a journal and opens it for more. A last line
// that was cut off by a death is dropped: nobody was answered for it. An empty
// path means no journal.
func openJournal[T any](path string, replay func(T) error) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal cannot be opened: %w", err)
	}
	end, err := replayLines(f, replay)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), f.Close())
	}
	return &journal{f}, nil
}

func replayLines[T any](f *os.File, replay func(T) error) (end int64, err error) {
	in := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var v T
		if err := json.Unmarshal(bytes.TrimSpace(line), &v); err != nil {
			return end, fmt.Errorf("line %d cannot be read: %w: mend it, or move the file away to start empty", n, err)
		}
		if err := replay(v); err != nil {
			return end, fmt.Errorf("line %d does not follow from those before: %w", n, err)
		}
		end += int64(len(line))
	}
}

func (j *journal) append(v any) error {
	if j.file == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("journal entry cannot be encoded: %w", err)
	}
	if _, err := j.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("journal cannot be written: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
