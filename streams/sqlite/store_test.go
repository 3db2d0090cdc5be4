package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() streams.Store {
		path := filepath.Join(t.TempDir(), "store.db")
		return func() streams.Store {
			s, err := Open(path, WithoutSync())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
