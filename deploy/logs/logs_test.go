package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestALineIsECS(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(NewHandler(&out, slog.LevelInfo, "1.2.3")).With("service", "order", "lane", 2)
	log.Debug("not this one")
	log.Warn("decided", "decider", "order", "correlation", "o-1", "error", errors.New("no"), "trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "n", 7)
	log.Info("without a trace", "trace", "")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"log.level": "warn", "message": "decided", "service.name": "order", "service.version": "1.2.3", "weir.lane": "2",
		"weir.decider": "order", "weir.correlation": "o-1", "weir.n": "7", "error.message": "no", "ecs.version": Version, "event.dataset": "weir",
		"trace.id": "4bf92f3577b34da6a3ce929d0e0e4736", "span.id": "00f067aa0ba902b7"} {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	if at, _ := first["@timestamp"].(string); len(at) < 20 || !strings.HasSuffix(at, "Z") {
		t.Errorf("@timestamp is %q", at)
	}
	if strings.Contains(lines[1], "trace") && strings.Contains(lines[1], "trace.id") {
		t.Errorf("a trace of nothing: %s", lines[1])
	}
}

// Every field that a line can have is mapped: what the engine guesses from the
// first line may refuse the second.
func TestTheTemplateMapsEveryField(t *testing.T) {
	var tmpl struct {
		Template struct {
			Mappings struct {
				Properties map[string]struct {
					Type       string
					Properties map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(Template(), &tmpl); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(NewHandler(&out, slog.LevelInfo, "")).Info("x", "error", "e", "service", "s", "trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "other", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for name := range line {
		object, field, nested := strings.Cut(name, ".")
		if object == "weir" {
			continue // by the dynamic template
		}
		m, ok := tmpl.Template.Mappings.Properties[object]
		if nested {
			_, ok = m.Properties[field]
		}
		if !ok {
			t.Errorf("field %s is not in the template", name)
		}
	}
}
