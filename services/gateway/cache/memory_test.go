package cache_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/cache/cachetest"
)

func TestConformance(t *testing.T) {
	cachetest.Run(t, func(*testing.T) cachetest.Place {
		var passed atomic.Int64
		m := cache.NewMemory(func() time.Time { return time.Unix(0, passed.Load()) })
		return cachetest.Place{Open: func() cache.Cache { return m }, Pass: func(d time.Duration) { passed.Add(int64(d)) }}
	})
}
