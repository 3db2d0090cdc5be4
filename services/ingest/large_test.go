package ingest_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/services/ingest"
)

// An event that the log will never take is its sender's to mend: sent again it would
// fail again.
func TestAnEventLargerThanTheLogTakes(t *testing.T) {
	h := newHouse(t)
	event := `{"specversion":"1.0","id":"big","source":"/a","type":"stock.received",` +
		`"data":{"sku":"mug","quantity":1` + strings.Repeat(" ", 1_020_000) + `}}`
	r := h.post("application/cloudevents+json", event)
	if r.status != 422 || len(r.Results) != 1 || r.Results[0].Status != ingest.Refused || !strings.Contains(r.Detail, "larger than the log takes") {
		t.Errorf("%d %s %+v", r.status, r.Detail, r.Results)
	}
}
