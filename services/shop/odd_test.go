package shop_test

import (
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// Whatever id is taken must be able to go the whole way, and an id that is not
// taken must be refused: an order that can never be paid would keep the
// provider's breaker open for everybody.
func TestOddOrderIDs(t *testing.T) {
	inShop(t, 2, func(s *house) {
		var taken []event.OrderID
		for _, id := range []event.OrderID{"a/b", "ä-ö 1", "日本", "<o&1>", "100%", `q"\`, "a\nb", "tab\there", "\x7f", "\x1b[31m", " ", "a\u2028b", "a\u0085b"} {
			if err := streams.CheckKey(string(id)); err != nil { // it is no command
				t.Log(err)
				continue
			}
			c := placing(id, line("rug", 4))
			c.Email = "ada@example.org"
			if r := s.send("place-order", c); r.Status == "done" {
				s.placed[id] = event.Money{Minor: 1000, Currency: "GBP"}
				taken = append(taken, id)
			} else {
				t.Logf("%q: %s %s", id, r.Status, r.Body)
			}
		}
		s.closed(taken...)
		if n := s.count(taken, "order.shipped"); n != len(taken) || n < 5 {
			t.Errorf("%d of %d fulfilled", n, len(taken))
		}
	})
}
