//go:build real

package postgres

import (
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() streams.Store {
		service := fresh(t)
		return func() streams.Store { return open(t, service, WithConnections(2)) }
	})
}
