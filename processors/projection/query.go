package projection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// PageSize is how many documents or sagas a page holds.
const PageSize = 50

// ErrNotFound says that the read model has no such document or saga.
var ErrNotFound = errors.New("not found")

// ErrPage says that a page token was not made for this list.
var ErrPage = errors.New("this page token is damaged, or of another list or other filters: begin without it")

// Entry is one event of a history, without what its type declares personal.
type Entry struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Version     int             `json:"version"`
	Source      string          `json:"source"` // the decider that emitted it, or who posted it
	Kind        string          `json:"kind"`   // of the key
	Key         string          `json:"key"`
	Correlation string          `json:"correlation"`
	Causation   string          `json:"causation,omitempty"`
	Time        time.Time       `json:"time"`
	Lane        string          `json:"lane,omitempty"`
	Seq         int64           `json:"sequence,omitempty"`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"` // below 0: minus the sequence of an event that was read from its service's store
	Traceparent string          `json:"traceparent,omitempty"`
	Data        json.RawMessage `json:"data"`
}

// Saga states.
const (
	Running = "running"
	Ended   = "ended"
)

// Saga is one run of a declared saga.
type Saga struct {
	Name        string    `json:"saga"`
	Correlation string    `json:"correlation"`
	Subject     string    `json:"subject"` // kind/key of the event that started it
	State       string    `json:"state"`   // running or ended
	Started     time.Time `json:"started"`
	Due         time.Time `json:"due"` // when its declared time is over
	Ended       time.Time `json:"ended,omitzero"`
	EndedBy     string    `json:"ended_by,omitempty"` // the event's type
	Last        string    `json:"last"`               // type of the correlation's latest event
	LastAt      time.Time `json:"last_at"`
	Events      int64     `json:"events"` // of the correlation
}

// InFlight are the sagas that have not ended.
type InFlight struct {
	Sagas  int       // at most the limit that was asked for
	Late   int       // of them, those beyond their declared time
	Oldest time.Time // when the oldest started; zero if none runs
}

// Skipped is a record that is not in the rows: it is no event of ours, or holds
// what no row can keep.
type Skipped struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"`
}

// Page is part of a list. Next is empty on the last page.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // the token of the page after this one
}

// SagaQuery chooses sagas. Empty filters match all.
type SagaQuery struct {
	Name, State string    // State is Running or Ended
	After       *SagaMark // where the page before ended; nil for the first
	Limit       int
}

// SagaMark is the place of a saga in the list of all. Started is in nanoseconds
// since 1970.
type SagaMark struct {
	Started           int64
	Name, Correlation string
}

// SagaFilter chooses sagas; its zero value chooses all.
type SagaFilter struct {
	Name  string
	State string // Running or Ended
	Page  string // empty, or the Next of the page before
}

// Sagas lists sagas, the newest first. A damaged page token is ErrPage.
func (m *Model) Sagas(ctx context.Context, f SagaFilter) (Page[Saga], error) {
	list := listOf("sagas", f.Name, f.State)
	after, err := readMark[SagaMark](list, f.Page)
	if err != nil {
		return Page[Saga]{}, err
	}
	items, err := m.ListSagas(ctx, SagaQuery{f.Name, f.State, after, PageSize + 1})
	if err != nil {
		return Page[Saga]{}, err
	}
	return cut(list, items, func(x Saga) SagaMark { return SagaMark{Nanos(x.Started), x.Name, x.Correlation} }), nil
}

// cut makes a page of up to PageSize+1 items.
func cut[T, M any](list string, items []T, mark func(T) M) Page[T] {
	if len(items) <= PageSize {
		return Page[T]{Items: items}
	}
	items = items[:PageSize]
	return Page[T]{Items: items, Next: token(list, mark(items[PageSize-1]))}
}

// listOf names a list that was asked for, and its filters, in a token.
func listOf(asked ...any) string {
	b, _ := json.Marshal(asked) // of strings, and maps of them in the order of their keys
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// pageToken is where a page of a list ended.
type pageToken[M any] struct {
	List  string
	After M
}

func token[M any](list string, after M) string {
	b, _ := json.Marshal(pageToken[M]{list, after}) // of plain integers and strings
	return base64.RawURLEncoding.EncodeToString(b)
}

// readMark is nil for the first page.
func readMark[M any](list, page string) (*M, error) {
	if page == "" {
		return nil, nil
	}
	var t pageToken[M]
	b, err := base64.RawURLEncoding.DecodeString(page)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || token(list, t.After) != page || bytes.Contains(b, []byte(`\u0000`)) { // which no row can hold
		return nil, fmt.Errorf("%q: %w", page, ErrPage)
	}
	return &t.After, nil
}
