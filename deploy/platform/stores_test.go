//go:build !real

package platform

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
)

// Another event store under an old name stops its service alone, and what the
// message names as the cure lets it go on; so does a renewed one.
func TestAStoreIsAcceptedOrRenewed(t *testing.T) {
	data := t.TempDir()
	closed := func(_ int, _, answer string) bool { return strings.Contains(answer, `"closed_at"`) }
	a := startAlone(t, data)
	a.place("o-1")
	a.until("the end of an order", "/v1/orders/o-1", closed)
	a.stop()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(data, "order.db"+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	a = startAlone(t, data)
	a.until("halted, with the cure", "/readyz", func(status int, _, answer string) bool {
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "service order is halted") &&
			strings.Contains(answer, "weir store accept order") && strings.Contains(answer, "--data") &&
			strings.Contains(answer, "start them again") && !strings.Contains(answer, "weir unit restart")
	})
	a.stop()
	o := Options{Business: shop.Business, Config: config.Default()}
	o.Config.Data = data
	before, err := Stores(t.Context(), o, "")
	if err != nil || len(before) < 2 || before[0].Store == before[0].Known || before[1].Store != before[1].Known {
		t.Fatalf("%+v: %v", before, err)
	}
	for n, change := range []string{"accept", "renew"} {
		f := AcceptStore
		if change == "renew" {
			f = RenewStore
		}
		s, err := f(t.Context(), o, "order")
		if err != nil || s.Store != s.Known || (s.Store == before[0].Store) != (change == "accept") {
			t.Fatalf("%s: %+v: %v", change, s, err)
		}
		a = startAlone(t, data)
		id := []string{"o-2", "o-3"}[n]
		a.place(id)
		a.until("the end of an order after "+change, "/v1/orders/"+id, closed)
		a.until("well", "/readyz", func(status int, _, _ string) bool { return status == http.StatusOK })
		a.stop()
	}
}
