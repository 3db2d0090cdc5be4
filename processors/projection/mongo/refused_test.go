//go:build real

package mongo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// What the server cannot keep is refused at once and by name, and is no outage:
// it would be tried for ever.
func TestWhatTheServerRefuses(t *testing.T) {
	mayTake := map[string]bool{"bytes that are no text": true, "a large document": true} // FerretDB does
	for what, spoil := range map[string]func(*projection.Event){
		"a NUL in a key":         func(e *projection.Event) { e.Key = "a\x00b" },
		"a NUL in a correlation": func(e *projection.Event) { e.Correlation = "a\x00b" },
		"a NUL in a field": func(e *projection.Event) {
			e.Changes[0].Fields = []projection.Field{{Column: "f_member", Value: "a\x00b"}}
		},
		"a NUL in a document":    func(e *projection.Event) { e.Changes[0].Key = "a\x00b" },
		"a NUL in a name":        func(e *projection.Event) { e.About = map[string]string{"loan": "a\x00b"} },
		"bytes that are no text": func(e *projection.Event) { e.Source = "a\xffb" },
		"a large document":       func(e *projection.Event) { e.Data = []byte(strings.Repeat("x", 17<<20)) },
	} {
		t.Run(what, func(t *testing.T) {
			db, address := database(t)
			s := connect(t, address, db.Name())
			c, err := s.Claim(t.Context(), 3, []projection.Cursor{{Topic: "desk.loan", TopicID: [16]byte{1}}})
			if err != nil {
				t.Fatal(err)
			}
			b := projectiontest.Batch(c.Epoch, 0, 1)
			spoil(&b.Events[0])
			began := time.Now()
			err = s.Write(t.Context(), b)
			if !errors.Is(err, projection.ErrRefused) && (err != nil || !mayTake[what]) {
				t.Errorf("written with %v, want ErrRefused", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to say so", took)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err == nil {
				return
			}
			if err := s.Write(t.Context(), projectiontest.Batch(c.Epoch, 0, 1)); err != nil {
				t.Errorf("after that it takes nothing: %v", err)
			}
		})
	}
}
