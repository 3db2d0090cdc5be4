package business_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type ofTicket struct {
	Ticket ticketID `json:"ticket"`
}

func (o ofTicket) Key() streams.Key { return o.Ticket }

type holds[T any] struct {
	ofTicket
	What T `json:"what"`
}

// lets makes a theatre whose door takes such a body.
func lets[T any]() *business.Business {
	b := theatre()
	desk := &b.Services[0]
	desk.Deciders[0] = streams.Define("desk", ticketID(""), quiet, streams.OnCommand("buy", nothing[holds[T]], bought{}, noted{}), streams.On(nothing[printed], checked{}))
	desk.Commands[0].Example = nil
	b.Customer = nil
	return b
}

// The body of a door holds what can be described, and checked.
func TestWhatABodyHolds(t *testing.T) {
	type tree struct {
		Name string  `json:"name"`
		Of   []*tree `json:"of"`
	}
	for _, b := range []*business.Business{lets[string](), lets[[]int](), lets[*tree](), lets[time.Time](), lets[json.RawMessage](), lets[[]float64](), lets[bool](), lets[[][]money]()} {
		if _, err := b.Topology(); err != nil {
			t.Error(err)
		}
	}
	for want, b := range map[string]*business.Business{
		"a map[string]int,": lets[map[string]int](), "a [2]string,": lets[[2]string](), "a interface {},": lets[any](), "a chan int,": lets[chan int](),
		"a uint8,": lets[[]byte](), "a uint,": lets[*uint](), "a int8,": lets[int8](), "a big.Int,": lets[*big.Int](),
		"drop that": lets[struct {
			N int `json:"n,string"`
		}](),
	} {
		if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), `command "buy" of service "desk": `) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
