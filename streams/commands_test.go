package streams_test

import (
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/commandtest"
)

func TestCommandsInProcess(t *testing.T) {
	commandtest.Run(t, func(*testing.T) commandtest.Ports {
		c := streams.NewCommands()
		return commandtest.Ports{Client: c, Server: c}
	})
}
