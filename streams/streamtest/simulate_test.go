package streamtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// TestBadDaysAtTheBank lives through new bad days at every run of the tests.
func TestBadDaysAtTheBank(t *testing.T) {
	long := 40 * time.Second
	if testing.Short() {
		long = 10 * time.Second
	}
	streamtest.Simulate(t, bankDay(t), streamtest.Campaign{For: long, Kept: "testdata/bank", Progress: os.Stderr})
}
