package review_test

import (
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/review"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

func given(t *testing.T, decider int, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, review.Service.Deciders[decider], history...)
}

var (
	placed = event.OrderPlaced{Order: "o-1", Customer: "ada", Lines: []event.Line{{SKU: "mug"}, {SKU: "jug"}, {SKU: "mug"}}}
	noted  = review.Bought{Order: "o-1", Customer: "ada", Products: []event.SKU{"jug", "mug"}}
)

// about makes an event of the one review that these tests are about.
func about(t *testing.T) (invited review.Invited, open review.Noted, write func(stars int) review.Write, moderate func(publish bool) review.Moderate) {
	t.Helper()
	invited.Review, invited.Customer, invited.Product = "key-1", "ada", "mug"
	write = func(stars int) (c review.Write) { c.Review, c.Stars, c.Text = "key-1", stars, "holds tea"; return c }
	moderate = func(publish bool) (c review.Moderate) {
		c.Review, c.Publish, c.Reason = "key-1", publish, "rude"
		return c
	}
	return invited, review.Noted(invited), write, moderate
}

func written(stars int) (e review.Written) {
	e.Review, e.Product, e.Stars, e.Text = "key-1", "mug", stars, "holds tea"
	return e
}

func published(stars int) (e review.Published) {
	e.Review, e.Product, e.Stars = "key-1", "mug", stars
	return e
}

func refused() (e review.Refused) {
	e.Review, e.Reason = "key-1", "rude"
	return e
}

func TestWhoGotAProductIsInvited(t *testing.T) {
	given(t, 0).When(placed).Then(noted)
	given(t, 0, noted).When(placed).Then()
	given(t, 0, noted).When(event.OrderClosed{Order: "o-1", Outcome: event.Cancelled}).Then()
	given(t, 0).When(event.OrderClosed{Order: "o-1", Outcome: event.Fulfilled}).Then()
	c := given(t, 0, noted).When(event.OrderClosed{Order: "o-1", Outcome: event.Fulfilled})
	var jug, mug review.Invited
	jug.Review, jug.Customer, jug.Product = "r-7395e813375eec40eccb043ae0", "ada", "jug"
	mug.Review, mug.Customer, mug.Product = "r-fb3f8836ba3371e69f2b99ea2c", "ada", "mug"
	c.Then(jug, mug)
}

func TestOneReviewEach(t *testing.T) {
	invited, open, write, _ := about(t)
	given(t, 1).When(invited).Then(open)
	given(t, 1, open).When(invited).Then()
	given(t, 1).When(write(4)).Rejected("not-delivered")
	given(t, 1, open).When(write(4)).Then(written(4)).Sets("read-by", review.ReadBy)
	given(t, 1, open, written(4)).When(write(5)).Rejected("written-already")
}

func TestModeration(t *testing.T) {
	_, open, _, moderate := about(t)
	var inTime review.InTime
	var late review.Overdue
	inTime.Review, late.Review = "key-1", "key-1"
	given(t, 1, open).When(moderate(true)).Rejected("not-written")
	given(t, 1, open, written(4)).When(moderate(true)).Then(published(4), inTime).Cancels("read-by")
	given(t, 1, open, written(1)).When(moderate(false)).Then(refused(), inTime).Cancels("read-by")
	given(t, 1, open, written(4), published(4)).When(moderate(true)).Then()
	given(t, 1, open, written(4), published(4)).When(moderate(false)).Rejected("moderated-already")
	given(t, 1, open, written(4), late).When(moderate(true)).Then(published(4)).Cancels("read-by") // it is counted once
	given(t, 1, open, written(4)).WhenTimer("read-by", review.ReviewID("key-1")).Then(late)
	given(t, 1, open, written(4), published(4)).WhenTimer("read-by", review.ReviewID("key-1")).Then()
}
