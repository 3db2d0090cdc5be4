package main

import (
	"testing"

	"github.com/weirstream/weir/streams/streamtest"
)

func TestWishlist(t *testing.T) {
	tea, cup := Wished{"ada", "tea"}, Wished{"ada", "cup"}
	streamtest.Given(t, Wishlists).When(Wish{"ada", "tea"}).Then(tea).Replies(Answer{1})
	streamtest.Given(t, Wishlists, tea).When(Wish{"ada", "cup"}).Then(cup, Filled{"ada", 2})
	streamtest.Given(t, Wishlists, tea, cup).When(Wish{"ada", "jam"}).Rejected("full")
}
