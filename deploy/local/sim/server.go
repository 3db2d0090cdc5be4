package sim

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/weirstream/weir/streams/business"
)

// Server simulates an HTTP endpoint of a business. It answers what the endpoint's
// counterpart does, and:
//
//	GET  /ledger            every key, and the counterpart's books, for audits
//	GET, POST /faults       see Faults
//
// Every POST needs an Idempotency-Key header: the same key has one effect and one
// answer, and another body under it is a 409.
type Server struct {
	desk
	mux *http.ServeMux
}

// New starts the simulator of an endpoint with what its journal holds.
func New(e business.Endpoint, c Config) (Simulated, error) {
	if e.Protocol == business.SMTP {
		return NewMailbox(c)
	}
	return NewServer(e, c)
}

// NewServer starts the simulator of an HTTP endpoint.
func NewServer(e business.Endpoint, c Config) (*Server, error) {
	if e.Protocol != business.HTTP || e.Simulate == nil {
		return nil, fmt.Errorf("endpoint %s says nothing of how it is simulated", e.Name)
	}
	s := &Server{mux: http.NewServeMux()}
	s.other = e.Simulate()
	if err := s.open(c); err != nil {
		return nil, err
	}
	for _, path := range s.other.Paths() {
		s.mux.Handle("POST "+path, &s.desk)
	}
	s.mux.HandleFunc("GET /ledger", s.ledger)
	s.mux.Handle("GET /faults", s.trouble)
	s.mux.Handle("POST /faults", s.trouble)
	return s, nil
}

// ServeHTTP serves the endpoint's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// SetFaults replaces all faults.
func (s *Server) SetFaults(f Faults) error { return s.set(f) }

// Close drains: calls under way are finished, later ones answered 503.
func (s *Server) Close() error { return s.desk.Close() }

func (s *Server) ledger(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	b, err := json.Marshal(map[string]any{"keys": s.records, "books": s.other.Ledger()})
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
