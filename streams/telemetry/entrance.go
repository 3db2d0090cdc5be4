package telemetry

// maxClients bounds the clients that have series of their own. Who comes later
// counts as "other": whoever makes up names must not fill the memory.
const maxClients = 100

// OnIngest counts an event that was posted from outside. client is a digest or
// "anonymous", eventType empty if it is none that may be posted.
func (t *Telemetry) OnIngest(client, eventType, result string) {
	if eventType == "" {
		eventType = "unknown"
	}
	t.metrics.ingested.WithLabelValues(t.metrics.client(client), eventType, result).Inc()
}

// OnRefused counts a request that was refused for its client's quota.
func (t *Telemetry) OnRefused(client string) {
	t.metrics.refused.WithLabelValues(t.metrics.client(client)).Inc()
}

func (m *metrics) client(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.clients[name] {
		if len(m.clients) >= maxClients {
			return "other"
		}
		m.clients[name] = true
	}
	return name
}
