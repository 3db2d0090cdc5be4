package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway/cache"
)

func TestWhoseQuota(t *testing.T) {
	of := func(from, key string) string {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = from
		if key != "" {
			r.Header.Set(APIKeyHeader, key)
		}
		return client(r)
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{of("192.0.2.1:1000", ""), of("192.0.2.1:2000", ""), true},
		{of("192.0.2.1:1000", ""), of("192.0.2.2:1000", ""), false},
		{of("192.0.2.1:1000", ""), of("[::ffff:192.0.2.1]:1000", ""), true},
		{of("[2001:db8::1]:1", ""), of("[2001:db8::ffff]:1", ""), true}, // one /64, one subscriber
		{of("[2001:db8::1]:1", ""), of("[2001:db8:0:1::1]:1", ""), false},
		{of("[fe80::1%eth0]:1", ""), of("[fe80::1%eth1]:1", ""), true},
		{of("192.0.2.1:1", "k"), of("192.0.2.2:1", "k"), true},
		{of("192.0.2.1:1", "k"), of("192.0.2.1:1", "l"), false},
		{of("192.0.2.1:1", "k"), of("192.0.2.1:1", ""), false},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%s and %s: want the same quota %v", c.a, c.b, c.same)
		}
	}
	if c := of("192.0.2.1:1", strings.Repeat("secret", 10_000)); strings.Contains(c, "secret") || len(c) > 100 {
		t.Errorf("a key becomes %s", c)
	}
}

// Who waits as long as Retry-After says is not refused.
func TestRetryAfterIsEnough(t *testing.T) {
	now := time.Unix(0, 0)
	l := Limit{Buckets: cache.NewMemory(func() time.Time { return now }), Quota: cache.Quota{PerSecond: 0.3, Burst: 1}}
	h := l.Handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest(http.MethodPost, "/", nil))
		return w.Code, w.Header().Get("Retry-After")
	}
	ask()
	for range 3 {
		if status, after := ask(); status != http.StatusTooManyRequests || after != "4" {
			t.Fatalf("answered %d, Retry-After %q", status, after)
		}
	}
	now = now.Add(4 * time.Second)
	if status, _ := ask(); status != http.StatusNoContent {
		t.Errorf("after the wait answered %d", status)
	}
}
