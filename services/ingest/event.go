package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// posted is an event as it was sent: attributes and data.
type posted struct {
	attrs map[string]string
	data  []byte
	err   error // why it cannot even be read
}

func (e posted) text(name string) string { return e.attrs[name] }

// attributeName is CloudEvents' rule for names.
var attributeName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// fromHeaders reads binary mode: ce- headers, percent-encoded, and the data.
func fromHeaders(h http.Header, body []byte) (posted, error) {
	e := posted{attrs: map[string]string{}, data: body}
	for name, values := range h {
		attr, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return e, fmt.Errorf("header %s is given %d times: give it once", name, len(values))
		}
		v, err := url.PathUnescape(values[0])
		if err != nil {
			return e, fmt.Errorf("header %s is not percent-encoded: %w", name, err)
		}
		e.attrs[attr] = v
	}
	return e, nil
}

// fromObject reads structured mode: one JSON object.
func fromObject(b []byte) (posted, error) {
	e := posted{attrs: map[string]string{}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return e, fmt.Errorf("an event is a JSON object")
	}
	for name, raw := range fields {
		switch name {
		case "data":
			e.data = raw
			continue
		case "data_base64":
			return e, fmt.Errorf("data_base64 is not taken: send JSON in data")
		}
		v, err := attribute(raw)
		if err != nil {
			return e, fmt.Errorf("attribute %q %w", name, err)
		}
		if v != nil {
			e.attrs[name] = *v
		}
	}
	return e, nil
}

// attribute reads a string, boolean or integer in its canonical form; null is
// as good as absent.
func attribute(raw json.RawMessage) (*string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var s string
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		s = v
	case bool:
		s = strconv.FormatBool(v)
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("is not an integer of 32 bits")
		}
		s = strconv.FormatInt(n, 10)
	default:
		return nil, fmt.Errorf("is neither a string, a boolean nor an integer")
	}
	return &s, nil
}

// own are the attributes that the envelope has fields for.
var own = []string{"specversion", "id", "source", "type", "time", "datacontenttype", "dataversion", "correlationid", "traceparent"}

// record checks an event and makes it the record that travels. Its errors are
// the sender's to mend.
func (h *Handler) record(e posted, traceparent string) (*kgo.Record, error) {
	if e.err != nil {
		return nil, e.err
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	at, err := e.time(h.cfg.Now())
	if err != nil {
		return nil, err
	}
	fact, version, err := h.fact(e)
	if err != nil {
		return nil, err
	}
	key, err := keyOf(fact, version, e.data)
	if err != nil {
		return nil, err
	}
	topic, _ := h.cfg.Topology.Topic(fact.Name) // external types have one
	if tp := e.attrs["traceparent"]; edge.ValidTraceparent(tp) && traceparent == "" {
		traceparent = tp
	}
	env := streams.Envelope{ID: e.attrs["id"], Type: fact.Name, Version: version, Source: e.attrs["source"], Time: at, Key: key,
		Correlation: e.attrs["correlationid"], Traceparent: traceparent, Data: e.data}
	rec := env.Record(topic.Name, streams.Partition(key, h.cfg.Partitions))
	rec.Headers = append(rec.Headers, e.extensions()...)
	return rec, nil
}

// extensions are the sender's own attributes, which travel untouched.
func (e posted) extensions() (out []kgo.RecordHeader) {
	names := make([]string, 0, len(e.attrs))
	for name := range e.attrs {
		if !slices.Contains(own, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, kgo.RecordHeader{Key: "ce_" + name, Value: []byte(e.attrs[name])})
	}
	return out
}

func (e posted) check() error {
	for name, v := range e.attrs {
		switch {
		case !attributeName.MatchString(name), name == "data":
			return fmt.Errorf("attribute %q is \"data\" or not named in lower case letters and digits", name)
		case slices.Contains(streams.ReservedAttributes, name):
			return fmt.Errorf("attribute %q is the platform's own: leave it out", name)
		case len(v) > 1024 || !utf8.ValidString(v) || strings.ContainsFunc(v, streams.Unprintable):
			return fmt.Errorf("attribute %q is longer than 1024 bytes, is not UTF-8, holds control characters or turns the direction of text", name)
		}
	}
	if v := e.attrs["specversion"]; v != "1.0" {
		return fmt.Errorf("specversion is %q: CloudEvents 1.0 is understood", v)
	}
	for _, name := range []string{"id", "source", "type"} {
		if e.attrs[name] == "" {
			return fmt.Errorf("attribute %q is missing", name)
		}
	}
	if _, err := url.Parse(e.attrs["source"]); err != nil {
		return fmt.Errorf("source is not a URI reference: %w", err)
	}
	return e.checkContent()
}

func (e posted) checkContent() error {
	if ct := e.attrs["datacontenttype"]; ct != "" {
		if t, _, err := mime.ParseMediaType(ct); err != nil || t != plainType {
			return fmt.Errorf("datacontenttype is %q: data is application/json", ct)
		}
	}
	if len(bytes.TrimSpace(e.data)) == 0 {
		return fmt.Errorf("data is missing")
	}
	return nil
}

// time is the event's, between 1970 and 2200 as stores keep nanoseconds in 64
// bits, or now.
func (e posted) time(now time.Time) (time.Time, error) {
	v := e.attrs["time"]
	if v == "" {
		return now.UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return t, fmt.Errorf("time %q is not of RFC 3339", v)
	}
	if y := t.UTC().Year(); y < 1970 || y > 2200 {
		return t, fmt.Errorf("time %q is not between 1970 and 2200", v)
	}
	return t, nil
}

// fact finds the declared type and the version of the data.
func (h *Handler) fact(e posted) (*streams.Fact, int, error) {
	f, ok := h.cfg.Topology.Vocabulary.Fact(e.attrs["type"])
	if !ok {
		return nil, 0, fmt.Errorf("event type %q is not known", e.attrs["type"])
	}
	if !f.External {
		return nil, 0, fmt.Errorf("event type %q is not taken from outside: only the platform itself says so", f.Name)
	}
	v := e.attrs["dataversion"]
	if v == "" {
		return f, 1, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > f.Version {
		return nil, 0, fmt.Errorf("dataversion %q of %s is not between 1 and %d", v, f.Name, f.Version)
	}
	return f, n, nil
}
