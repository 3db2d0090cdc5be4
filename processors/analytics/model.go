package analytics

import (
	"context"
	"errors"
)

// ErrNoQuestion says that the business is not asked that.
var ErrNoQuestion = errors.New("there is no such question")

// Model is a store that is asked a business's questions.
type Model struct {
	Store  Store
	Schema *Schema
	Most   int64 // rows that a question may read; 0: as many as there are
}

// Ask answers the question of a name, as the function Ask does; ErrNoQuestion.
func (m *Model) Ask(ctx context.Context, name string, p Params) (*Answer, error) {
	q, ok := m.Schema.Business.Question(name)
	if !ok {
		return nil, ErrNoQuestion
	}
	if m.Most > 0 && (p.Most == 0 || p.Most > m.Most) {
		p.Most = m.Most
	}
	return Ask(ctx, m.Store, m.Schema, q, p)
}
