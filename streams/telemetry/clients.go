package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the clients that have series of their own. A client that asks once under
// each of many names never gets one, and takes no room from those that come again.
const (
	maxClients   = 100              // with series
	maxStrangers = 10_000           // of whom it is counted how often they came
	knownAfter   = 10               // requests within strangersFor
	strangersFor = time.Minute      // then they are counted anew
	clientIdle   = 10 * time.Minute // until a client loses its series
)

// clients are those that have series of their own.
type clients struct {
	now       func() time.Time
	last      map[string]time.Time // that a client with series came
	strangers map[string]int
	since     time.Time // of the strangers' counts
}

// name is what a client is called in labels, and who has lost the own series.
func (c *clients) name(client string) (label string, gone []string) {
	now := c.now()
	if _, known := c.last[client]; known {
		c.last[client] = now
		return client, nil
	}
	if now.Sub(c.since) > strangersFor {
		c.strangers, c.since = map[string]int{}, now
	}
	if len(c.strangers) < maxStrangers || c.strangers[client] > 0 {
		c.strangers[client]++
	}
	if c.strangers[client] < knownAfter {
		return Other, nil
	}
	if len(c.last) >= maxClients {
		gone = c.idle(now)
	}
	if len(c.last) >= maxClients {
		return Other, nil
	}
	delete(c.strangers, client)
	c.last[client] = now
	return client, gone
}

// idle forgets the clients that have not come for long.
func (c *clients) idle(now time.Time) (gone []string) {
	for name, last := range c.last {
		if now.Sub(last) > clientIdle {
			delete(c.last, name)
			gone = append(gone, name)
		}
	}
	return gone
}

func (m *metrics) client(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	label, gone := m.clients.name(name)
	for _, g := range gone {
		m.posted.DeletePartialMatch(prometheus.Labels{"client": g})
		m.refused.DeletePartialMatch(prometheus.Labels{"client": g})
	}
	return label
}
