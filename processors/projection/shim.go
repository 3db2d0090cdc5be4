package projection

import (
	"context"
	"encoding/json"
	"time"

	"github.com/weirstream/weir/streams/business"
)

type Document struct {
	Key   string
	order Order
	Begun time.Time
}

func JSON(v *business.View, d Document) json.RawMessage {
	b, _ := json.Marshal(d.order)
	return b
}

func (m *Model) Document(ctx context.Context, v *business.View, key string) (Document, error) {
	o, err := m.Store.Order(ctx, key)
	return Document{key, o, o.PlacedAt}, err
}

func (m *Model) HistoryOf(ctx context.Context, kind, key string) ([]Entry, error) {
	return m.Store.History(ctx, key)
}

func (m *Model) Documents(ctx context.Context, v *business.View, filter map[string]string, page string) (p Page[Document], err error) {
	x, err := m.Orders(ctx, filter["customer"], filter["state"], page)
	for _, o := range x.Items {
		p.Items = append(p.Items, Document{o.ID, o, o.PlacedAt})
	}
	p.Next = x.Next
	return p, err
}

func (m *Model) CountsOf(ctx context.Context, v *business.View) (map[string]int64, error) {
	return m.Store.Counts(ctx)
}
