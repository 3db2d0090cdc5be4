package platform

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/gateway/edge"
)

// guard keeps pages of other sites, which a person's browser may have open, from
// changing anything here, and from reading under a name that was made to point
// here (DNS rebinding): such a page has one origin with us.
func guard(hosts []string, h http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		(&edge.Problem{Code: "cross-origin", Status: http.StatusForbidden, Detail: "a page of another site asks for this: nothing was done"}).Write(w)
	}))
	inner := origin.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(hosts, r.Host) {
			(&edge.Problem{Code: "unknown-host", Status: http.StatusMisdirectedRequest,
				Detail: "nothing here is called " + strconv.Quote(clip(r.Host)) + ": ask by address or as localhost, or add the name to http_hosts in the configuration"}).Write(w)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// ours tells whether a Host header names this process. An address does, whichever
// it is, as only a name can be made to point elsewhere; so does localhost, which
// browsers resolve themselves. Who sends none is no browser.
func ours(hosts []string, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(hosts, host)
}

// names are those that this process goes by: the one that it was told to listen
// on, the one that other units ask, the machine's, and what the configuration adds.
func names(c *config.Config) (out []string) {
	listens, _, _ := net.SplitHostPort(c.HTTP) // the configuration was checked
	machine, _ := os.Hostname()                // without one nobody can ask by it
	for _, name := range append([]string{listens, c.Consul.Advertise, machine}, c.HTTPHosts...) {
		if name != "" {
			out = append(out, strings.ToLower(strings.TrimSuffix(name, ".")))
		}
	}
	return out
}

// clip bounds what an answer repeats of a request.
func clip(s string) string { return s[:min(len(s), 100)] }
