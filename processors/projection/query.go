package projection

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// PageSize is how many documents or sagas a page holds.
const PageSize = 50

// ErrNotFound says that the read model has no such document or saga.
var ErrNotFound = errors.New("not found")

// ErrPage says that a page token was not made by this read model.
var ErrPage = errors.New("the page token is damaged: take the one that the page before answered, or none for the first page")

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
	after, err := readMark[SagaMark](f.Page)
	if err != nil {
		return Page[Saga]{}, err
	}
	items, err := m.ListSagas(ctx, SagaQuery{f.Name, f.State, after, PageSize + 1})
	if err != nil {
		return Page[Saga]{}, err
	}
	return cut(items, func(x Saga) any { return SagaMark{Nanos(x.Started), x.Name, x.Correlation} }), nil
}

// cut makes a page of up to PageSize+1 items.
func cut[T any](items []T, mark func(T) any) Page[T] {
	if len(items) <= PageSize {
		return Page[T]{Items: items}
	}
	items = items[:PageSize]
	b, _ := json.Marshal(mark(items[PageSize-1])) // of plain integers and strings
	return Page[T]{Items: items, Next: base64.RawURLEncoding.EncodeToString(b)}
}

// readMark is nil for the first page.
func readMark[T any](page string) (*T, error) {
	if page == "" {
		return nil, nil
	}
	mark := new(T)
	b, err := base64.RawURLEncoding.DecodeString(page)
	if err == nil {
		err = json.Unmarshal(b, mark)
	}
	if err != nil || bytes.Contains(b, []byte(`\u0000`)) { // which no row can hold
		return nil, fmt.Errorf("%q: %w", page, ErrPage)
	}
	return mark, nil
}
