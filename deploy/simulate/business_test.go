package simulate_test

import (
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/simulate"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/streamtest"
)

// TestBadDays lives through new bad days of the whole business at every run of
// the tests.
func TestBadDays(t *testing.T) {
	s, err := simulate.New(shop.Business)
	if err != nil {
		t.Fatal(err)
	}
	long := 40 * time.Second
	if testing.Short() {
		long = 10 * time.Second
	}
	streamtest.Simulate(t, s, streamtest.Campaign{For: long, Kept: "testdata", Progress: os.Stderr})
}
