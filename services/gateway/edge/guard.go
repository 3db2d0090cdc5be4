package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Guard keeps pages of other sites, which a person's browser may have open, from
// changing anything here, and from reading under a name that was made to point
// here (DNS rebinding): such a page has one origin with us. Hosts are the names that
// this process goes by beside addresses and localhost, as HostName writes them, and
// setting is where more of them are given.
func Guard(h http.Handler, setting string, hosts ...string) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		(&Problem{Code: "cross-origin", Status: http.StatusForbidden, Detail: "a page of another site asks for this: nothing was done"}).Write(w)
	}))
	inner := origin.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Known(hosts, r.Host) {
			(&Problem{Code: "unknown-host", Status: http.StatusMisdirectedRequest,
				Detail: "nothing here is called " + strconv.Quote(clip(r.Host)) + ": ask by address or as localhost, or add the name to " + setting}).Write(w)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// Known tells whether a Host header names this process. An address does, whichever
// it is, as only a name can be made to point elsewhere; so does localhost, which
// browsers resolve themselves. Who sends none is no browser.
func Known(hosts []string, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = HostName(host)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(hosts, host)
}

// clip bounds what an answer repeats of a request.
func clip(s string) string { return s[:min(len(s), 100)] }

// HostName is a host's name in the one form in which names are compared.
func HostName(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
