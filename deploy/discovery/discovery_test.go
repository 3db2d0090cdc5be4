package discovery_test

import (
	"testing"

	"github.com/weirstream/weir/deploy/discovery"
	"github.com/weirstream/weir/deploy/discovery/discoverytest"
)

func TestInProcess(t *testing.T) { discoverytest.Run(t, discovery.NewRegistry(), "order", "gateway") }
