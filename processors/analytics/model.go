package analytics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNoQuestion says that the business is not asked that.
var ErrNoQuestion = errors.New("there is no such question")

// ErrBusy says that as many questions as may be are being answered.
var ErrBusy = errors.New("too many questions are being answered at the moment")

// Bounds of questions: how many are answered at a time, how long another one waits for its
// turn, and how long one may take.
const (
	questionsAtOnce = 4
	turnTime        = 10 * time.Second
	questionTime    = 30 * time.Second
)

// Model is a store that is asked a business's questions, a few at a time.
type Model struct {
	Store  Store
	Schema *Schema
	Most   int64 // rows that a question may read; 0: as many as there are

	once  sync.Once
	turns chan struct{}
}

// Ask answers the question of a name, as the function Ask does; ErrNoQuestion, ErrBusy.
func (m *Model) Ask(ctx context.Context, name string, p Params) (*Answer, error) {
	q, ok := m.Schema.Business.Question(name)
	if !ok {
		return nil, ErrNoQuestion
	}
	if m.Most > 0 && (p.Most == 0 || p.Most > m.Most) {
		p.Most = m.Most
	}
	m.once.Do(func() { m.turns = make(chan struct{}, questionsAtOnce) })
	select {
	case m.turns <- struct{}{}:
		defer func() { <-m.turns }()
	case <-time.After(turnTime):
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	asked, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	a, err := Ask(asked, m.Store, m.Schema, q, p)
	if err != nil && asked.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: it took longer than %v; ask for a shorter time", ErrTooMuch, questionTime)
	}
	return a, err
}
