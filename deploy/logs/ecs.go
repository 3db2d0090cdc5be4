// Package logs writes log lines as Elasticsearch wants them (ECS, the Elastic
// Common Schema), and the index template that they are searched by.
package logs

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Version of the schema that lines and template follow.
const Version = "8.11.0"

// Dataset names the data stream: logs-weir-default.
const Dataset = "weir"

// renamed are the runtime's attributes that the schema has a name for. All
// others are kept below "weir.".
var renamed = map[string]string{"error": "error.message", "service": "service.name"}

// NewHandler writes one JSON object a line. The attribute "trace", a W3C
// traceparent, becomes trace.id and span.id, by which a saga's lines are found.
func NewHandler(w io.Writer, level slog.Leveler, version string) slog.Handler {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return h.WithAttrs([]slog.Attr{slog.String("ecs.version", Version), slog.String("event.dataset", Dataset), slog.String("service.version", version),
		slog.String("host.name", host), slog.Int("process.pid", os.Getpid())})
}

func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || strings.Contains(a.Key, ".") {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().UTC().Format(time.RFC3339Nano))
	case slog.LevelKey:
		return slog.String("log.level", strings.ToLower(a.Value.String()))
	case slog.MessageKey:
		return slog.Attr{Key: "message", Value: a.Value}
	case "trace":
		return trace(a.Value.String())
	}
	if name, ok := renamed[a.Key]; ok {
		return slog.String(name, a.Value.String())
	}
	// As texts: a field that is a number in one line and a word in another
	// would be refused by the index.
	return slog.String("weir."+a.Key, a.Value.String())
}

// trace splits a traceparent; without one there is nothing to say.
func trace(traceparent string) slog.Attr {
	if len(traceparent) != 55 {
		return slog.Attr{}
	}
	return slog.Attr{Value: slog.GroupValue(slog.String("trace.id", traceparent[3:35]), slog.String("span.id", traceparent[36:52]))}
}
