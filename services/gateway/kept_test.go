package gateway

import (
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/streams"
)

func TestOnlyItsOwnVersionIsRead(t *testing.T) {
	c := cache.NewMemory(time.Now)
	for held, want := range map[string]bool{
		`{"v":1,"value":{"status":"done"}}`: true, `{"v":2,"value":{"status":"done"}}`: false, `{"value":{"status":"done"}}`: false,
		`{"v":1,"value":7}`: false, `{"v":1`: false, `null`: false, "\x00": false,
	} {
		_, miss := c.Get(t.Context(), held)
		c.Put(t.Context(), miss, []byte(held), time.Minute)
		if m, ok, _ := recall[remembered](t.Context(), c, held, 1); ok != want || ok && m.Status != streams.ReplyDone {
			t.Errorf("%s is read as %+v, %v", held, m, ok)
		}
	}
}

func TestOnlyStoredRepliesAreRemembered(t *testing.T) {
	for _, c := range []struct {
		status streams.ReplyStatus
		body   string
		want   bool
	}{
		{streams.ReplyDone, `{"order":"o-1"}`, true},
		{streams.ReplyRejected, `{"code":"order-exists"}`, true},
		{streams.ReplyRejected, `{"code":"unknown-command"}`, false},
		{streams.ReplyRejected, ``, false},
		{streams.ReplyParked, `{"code":"parked"}`, false},
		{streams.ReplyConflict, `{"code":"id-reused"}`, false},
		{"", ``, false},
	} {
		if got := lasting(streams.CommandReply{Status: c.status, Body: []byte(c.body)}); got != c.want {
			t.Errorf("%s %s is remembered: %v", c.status, c.body, got)
		}
	}
}

// A service that is older than its gateway is ours, and passes: the client did nothing wrong.
func TestAnOlderServiceIsNoFaultOfTheClient(t *testing.T) {
	for no, want := range map[string]int{`"code":"unknown-command"`: 503, `"code":"stored-before-classes"`: 409, `"code":"x","class":"newer"`: 409,
		`"code":"x","class":"conflict"`: 409, `"code":"x","class":"missing"`: 404, `"code":"x","class":"invalid"`: 422, `"code":"x","class":"forbidden"`: 403} {
		p := refusal(streams.CommandReply{Status: streams.ReplyRejected, Body: []byte(`{` + no + `,"detail":"x"}`)})
		if p.Status != want || (p.RetryAfter > 0) != (want == 503) {
			t.Errorf("%s is answered %d %s, to be repeated after %d s; want %d", no, p.Status, p.Detail, p.RetryAfter, want)
		}
	}
}

func TestSumTellsListsApart(t *testing.T) {
	seen := map[string][]string{}
	for _, l := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"a", "b", "c"}, {"1:a"}, {"\xff"}, {"\xfe"}} {
		if other, ok := seen[sum(l...)]; ok {
			t.Errorf("%q and %q have the same sum", l, other)
		}
		seen[sum(l...)] = l
	}
}
