package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/weirstream/weir/services/gateway/cache"
)

// APIKeyHeader names the client whose quota a request uses up. Nobody checks it
// here: who must not choose new ones at will is to be stopped in front.
const APIKeyHeader = "X-Api-Key"

// Limit bounds how much one client may ask. The zero value bounds nothing.
type Limit struct {
	Buckets cache.Cache
	Quota   cache.Quota
	Refused func(client string) // hears of every refusal, by Client; optional
}

// Handler takes a token for each request before h sees it, and refuses those
// that get none. Every answer tells the client where it stands, as
// draft-ietf-httpapi-ratelimit-headers-10 has it.
func (l Limit) Handler(h http.HandlerFunc) http.HandlerFunc {
	if l.Quota.PerSecond <= 0 {
		return h
	}
	policy := fmt.Sprintf(`"client";q=%d;w=%d`, l.Quota.Size(), seconds(time.Duration(l.Quota.Size()*l.Quota.Step())*time.Microsecond))
	return func(w http.ResponseWriter, r *http.Request) {
		g := l.Buckets.Take(r.Context(), client(r), l.Quota)
		w.Header().Set("RateLimit-Policy", policy)
		w.Header().Set("RateLimit", fmt.Sprintf(`"client";r=%d`, g.Left))
		if !g.OK {
			if l.Refused != nil {
				l.Refused(Client(r))
			}
			(&Problem{Code: "too-many-requests", Status: http.StatusTooManyRequests, RetryAfter: seconds(g.Wait),
				Detail: "you ask more than your quota: wait as long as Retry-After says, and send the same request again"}).Write(w)
			return
		}
		h(w, r)
	}
}

// seconds is at least 1, and rounded up: who waits so long is not refused.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// Client is what metrics call the sender of a request: the beginning of its
// key's digest, or "anonymous". An address is a person's.
func Client(r *http.Request) string {
	if c := client(r); strings.HasPrefix(c, "key:") {
		return c[:len("key:")+8]
	}
	return "anonymous"
}

// Caller tells clients apart whose names for things have nothing to do with one
// another: by the API key, of which only the digest leaves the process. Those
// without one are one caller, as an address may change between two tries.
func Caller(r *http.Request) string {
	if c := client(r); strings.HasPrefix(c, "key:") {
		return c
	}
	return "anonymous"
}

// client tells whose quota a request uses up: a key's, of which only the digest
// leaves the process, or an address's. A client has all of a /64 in IPv6.
func client(r *http.Request) string {
	if key := r.Header.Get(APIKeyHeader); key != "" {
		sum := sha256.Sum256([]byte(key))
		return "key:" + hex.EncodeToString(sum[:16])
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "address:unknown"
	}
	addr := from.Addr().Unmap()
	if addr.Is4() {
		return "address:" + addr.String()
	}
	return "address:" + netip.PrefixFrom(addr.WithZone(""), 64).Masked().String()
}
