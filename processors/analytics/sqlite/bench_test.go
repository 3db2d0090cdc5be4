package sqlite_test

import (
	"testing"

	"github.com/weirstream/weir/processors/analytics/analyticstest"
)

func BenchmarkWrite(b *testing.B) { analyticstest.Benchmark(b, empty) }
