package console_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
)

// The page never shows a lag of 0 that nobody has measured.
func TestTheReadModelsLag(t *testing.T) {
	var records int64
	var age time.Duration
	var err error
	h := newHouse(t, func(c *console.Config) {
		c.ReadsBehind = func() (int64, time.Duration, error) { return records, age, err }
		c.Degraded = func() []string { return []string{"projection is halted: a hole. Cure it"} }
	})
	for _, c := range []struct {
		records int64
		age     time.Duration
		err     error
		want    string
	}{
		{0, 0, errors.New("the store is away"), "read model not known"},
		{0, 0, nil, "read model up to date"},
		{3, 100 * time.Millisecond, nil, "read model 3 records behind"},
		{70_000, 7 * time.Minute, nil, "read model 7 min behind, 70,000 records"},
	} {
		records, age, err = c.records, c.age, c.err
		h.get("/", http.StatusOK, c.want, "<strong>not known</strong>", "projection is halted", "a hole. Cure it")
	}
}

// What is posted from outside may hold characters that turn a line round or hide
// it: the page shows that they are there.
func TestHiddenCharactersAreShown(t *testing.T) {
	h := newHouse(t)
	h.emit("c1", "", placed("o\x1b[2J\u202e", "ada"))
	page := h.get("/sagas/c1", http.StatusOK, "o\u241b[2J\ufffd")
	if strings.ContainsAny(page, "\x1b\u202e") {
		t.Error("a control character is on the page")
	}
	h.get("/sagas/%00", http.StatusNotFound)
	h.get("/orders/%ff", http.StatusNotFound)
}
