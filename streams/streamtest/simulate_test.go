package streamtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// TestBadDaysAtTheBank lives through new bad days at every run of the tests.
func TestBadDaysAtTheBank(t *testing.T) {
	streamtest.Simulate(t, bankDay(t), streamtest.Campaign{For: 40 * time.Second, Kept: "testdata/bank", Progress: os.Stderr})
}
