package analyticstest

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams"
)

// marker is in what is personal, and must be nowhere else.
const marker = "nobody-may-read-this"

// booked is what begins a crossing.
func booked(id, traveller string) Booked {
	return Booked{Crossing: CrossingID(id), Traveller: TravellerID(traveller), Name: marker, Contact: map[string]string{"email": marker},
		Route: Route{From: "Hoek", To: "Harwich", Miles: 107.25}, Fare: Coins{Minor: 510, Currency: "GBP"},
		Cabins: []Cabin{{Deck: "upper", Beds: 2, Fare: Coins{Minor: 300, Currency: "GBP"}, Guest: marker}, {Deck: "lower", Beds: 1, Fare: Coins{Minor: 210, Currency: "GBP"}}},
		Notes:  []string{"by the \"window\"", "été ✓ 'x' \\ ,"}, Loads: []float64{0.1, -2.5e300},
		Night: true, Departs: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)}
}

// weather is the record of an event that no lane wrote.
func weather(source, id, harbour string, wind float64) *kgo.Record {
	e := streams.Envelope{ID: id, Type: "weather.told", Source: source, Time: time.Date(2026, 1, 2, 13, 0, 0, 0, time.UTC), Key: harbour,
		Data: fmt.Appendf(nil, `{"harbour":%q,"wind":%g}`, harbour, wind)}
	return e.Record("external.harbour", streams.Partition(harbour, projectiontest.Partitions))
}

// sail makes the records of n crossings, without producing them: over some days, with
// repeats, events from outside, and records that are no events.
func sail(l *projectiontest.Log, n int) (out []*kgo.Record) {
	harbours := [2]*projectiontest.Writer{l.Writer("harbour", 0), l.Writer("harbour", 1)}
	purser := l.Writer("purser", 0)
	for i := range n {
		w, id := harbours[i%2], fmt.Sprintf("x%03d", i)
		w.At = w.At.Add(17 * time.Minute)
		purser.At = w.At
		b := booked(id, fmt.Sprint("t", i%5))
		b.Fare = Coins{Minor: int64(i*i - 30), Currency: []string{"GBP", "JPY", "BHD", ""}[i%4]}
		if i%3 == 0 {
			b.Cabins, b.Notes, b.Loads, b.Back = nil, []string{}, nil, &Route{From: "Harwich", To: "Hoek", Miles: float64(i)}
		}
		out = append(out, w.Record("c-"+id, b), purser.Record("c-"+id, FarePaid{Crossing: b.Crossing, Traveller: b.Traveller, Beds: int64(i%4) - 1, Fare: b.Fare}))
		if i%4 > 0 {
			out = append(out, w.Record("c-"+id, Boarded{Crossing: b.Crossing, Gate: fmt.Sprint("g", i%7)}))
		}
		if i%4 > 1 {
			out = append(out, w.Record("c-"+id, Boarded{Crossing: b.Crossing, Gate: "last"}), w.Record("c-"+id, Arrived{Crossing: b.Crossing, Late: int64(i) - 9}))
		}
		if i%5 == 0 {
			out = append(out, out[len(out)/2], out[len(out)-1])
		}
		if i%6 == 0 {
			x := weather("buoy", fmt.Sprint("w", i), fmt.Sprint("h", i%4), float64(i)/3)
			out = append(out, x, x, weather("mast", fmt.Sprint("w", i), "h0", 1))
		}
		if i%9 == 0 {
			out = append(out, &kgo.Record{Topic: "harbour.crossing", Partition: int32(i % projectiontest.Partitions), Key: []byte("x"), Value: fmt.Append(nil, "hello ", i)})
		}
	}
	return out
}
