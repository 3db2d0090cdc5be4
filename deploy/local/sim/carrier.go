package sim

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/weirstream/weir/services/event"
)

// Carrier is a parcel carrier over HTTP:
//
//	POST /v1/labels   {order, ship_to}   201 {carrier, tracking} or 422 {reason}
//	GET  /ledger      every key, and the labels of every order, for audits
//	GET, POST /faults see Faults
//
// Every POST needs an Idempotency-Key header, as at the Provider. An address
// in the country "XX" is always refused.
type Carrier struct {
	desk
	mux    *http.ServeMux
	labels map[event.OrderID][]string // tracking numbers
}

type labelAsk struct {
	Order  event.OrderID `json:"order"`
	ShipTo event.Address `json:"ship_to"`
}

type label struct {
	Carrier  string `json:"carrier"`
	Tracking string `json:"tracking"`
}

// NewCarrier starts a carrier with what its journal holds.
func NewCarrier(c Config) (*Carrier, error) {
	s := &Carrier{mux: http.NewServeMux(), labels: map[event.OrderID][]string{}}
	s.decide, s.effect = s.decideLabel, s.print
	if err := s.open(c); err != nil {
		return nil, err
	}
	s.mux.Handle("POST /v1/labels", &s.desk)
	s.mux.HandleFunc("GET /ledger", s.ledger)
	s.mux.Handle("GET /faults", s.trouble)
	s.mux.Handle("POST /faults", s.trouble)
	return s, nil
}

// ServeHTTP serves the carrier's API.
func (s *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// SetFaults replaces all faults.
func (s *Carrier) SetFaults(f Faults) error { return s.set(f) }

// Close drains: calls under way are finished, later ones answered 503.
func (s *Carrier) Close() error { return s.desk.Close() }

// Labels returns the tracking numbers of an order's labels, for audits.
func (s *Carrier) Labels(id event.OrderID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.labels[id]...)
}

func (s *Carrier) decideLabel(q request) (int, any) {
	var a labelAsk
	if err := json.Unmarshal(q.Body, &a); err != nil || a.Order == "" {
		return http.StatusBadRequest, problem{"a label needs an order and an address"}
	}
	if a.ShipTo.Country == "XX" || s.refuses(s.get().Declines, q.Key) {
		return http.StatusUnprocessableEntity, problem{"we do not deliver there"}
	}
	return http.StatusCreated, label{"weir-post", strings.ToUpper(idOf(q))}
}

func (s *Carrier) print(x decided) error {
	var a labelAsk
	var l label
	if err := json.Unmarshal(x.Body, &a); err != nil {
		return err
	}
	if err := json.Unmarshal(x.Answer, &l); err != nil {
		return err
	}
	s.labels[a.Order] = append(s.labels[a.Order], l.Tracking)
	return nil
}

func (s *Carrier) ledger(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	b, err := json.Marshal(map[string]any{"keys": s.records, "orders": s.labels})
	s.mu.Unlock()
	writeLedger(w, b, err)
}

func writeLedger(w http.ResponseWriter, b []byte, err error) {
	if err != nil {
		answer(w, http.StatusInternalServerError, problem{err.Error()})
		return
	}
	answer(w, http.StatusOK, json.RawMessage(b))
}
