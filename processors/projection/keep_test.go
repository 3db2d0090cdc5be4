package projection

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
)

func TestWhatNoRowCanKeep(t *testing.T) {
	fine := streams.Envelope{ID: "a", Type: "b", Data: make([]byte, maxData)}
	if err := unkept(&fine); err != nil {
		t.Error(err)
	}
	fine.Data = append(fine.Data, 0)
	if err := unkept(&fine); err == nil {
		t.Error("data that no document of MongoDB can hold are let through")
	}
	for in, want := range map[string]string{"a\x00b": "a\ufffdb", "a\xff": "a\ufffd", "ä" + strings.Repeat("é", 10): "äé…"} {
		if got := text(in, 5); got != want {
			t.Errorf("text(%q) is %q, want %q", in, got, want)
		}
	}
}
