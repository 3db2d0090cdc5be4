package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Jaeger is a Jaeger's query interface, the one that its own page uses. It has the
// spans of all processes, and those of days ago.
type Jaeger struct {
	URL      string        // base
	Services []string      // that traces are searched of: it knows no search over all
	Lookback time.Duration // how far back traces are searched; default an hour
	Client   *http.Client  // default http.DefaultClient; how long it may take, the context says
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// jaegerTrace is one in an answer; times are microseconds.
type jaegerTrace struct {
	TraceID string `json:"traceID"`
	Spans   []struct {
		SpanID        string `json:"spanID"`
		OperationName string `json:"operationName"`
		References    []struct {
			RefType string `json:"refType"`
			TraceID string `json:"traceID"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartTime int64       `json:"startTime"`
		Duration  int64       `json:"duration"`
		Tags      []jaegerTag `json:"tags"`
		Logs      []struct {
			Timestamp int64       `json:"timestamp"`
			Fields    []jaegerTag `json:"fields"`
		} `json:"logs"`
		ProcessID string `json:"processID"`
	} `json:"spans"`
	Processes map[string]struct {
		ServiceName string `json:"serviceName"`
	} `json:"processes"`
}

type jaegerTag struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Trace returns the spans of a trace in the order of their ends; none if it has none.
func (j *Jaeger) Trace(ctx context.Context, id string) ([]Span, error) {
	all, err := j.ask(ctx, "/api/traces/"+url.PathEscape(id), nil)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0].spans(), nil
}

// List sums up the traces of all services that a filter chooses, the newest first.
func (j *Jaeger) List(ctx context.Context, f Filter, limit int) ([]Summary, error) {
	type found struct {
		traces []jaegerTrace
		err    error
	}
	text := strings.TrimSpace(f.Text)
	var asks []url.Values
	for _, service := range j.Services {
		q := j.query(service, f, limit)
		if asks = append(asks, q); text != "" { // the newest ones need not be of the saga that is looked for
			of := j.query(service, f, limit)
			of.Set("tags", tagged("weir.correlation", text, f.Failed))
			asks = append(asks, of)
		}
	}
	answers := make([]found, len(asks))
	var asking sync.WaitGroup
	for i, q := range asks {
		asking.Go(func() { answers[i].traces, answers[i].err = j.ask(ctx, "/api/traces", q) })
	}
	asking.Wait()
	seen := map[string]bool{}
	var out []Summary
	var errs []error
	for _, a := range answers {
		errs = append(errs, a.err)
		for _, t := range a.traces {
			spans := t.spans()
			if s := Summarise(t.id(), spans); !seen[s.ID] && f.takes(s) && strings.Contains(words(s.ID, spans), strings.ToLower(text)) {
				seen[s.ID] = true
				out = append(out, s)
			}
		}
	}
	for _, err := range errs {
		if err != nil {
			return Newest(out, limit), err // one says what is wrong with all
		}
	}
	return Newest(out, limit), nil
}

func (j *Jaeger) query(service string, f Filter, limit int) url.Values {
	now := time.Now()
	q := url.Values{"service": {service}, "limit": {strconv.Itoa(limit)}, "end": {strconv.FormatInt(now.UnixMicro(), 10)},
		"start": {strconv.FormatInt(now.Add(-cmp.Or(j.Lookback, time.Hour)).UnixMicro(), 10)}}
	if f.Failed {
		q.Set("tags", tagged("", "", true))
	}
	return q
}

func tagged(key, value string, failed bool) string {
	tags := map[string]string{}
	if key != "" {
		tags[key] = value
	}
	if failed {
		tags["error"] = "true"
	}
	b, err := json.Marshal(tags)
	if err != nil {
		return "{}" // strings always encode
	}
	return string(b)
}

func (j *Jaeger) ask(ctx context.Context, path string, q url.Values) ([]jaegerTrace, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(j.URL, "/")+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, errors.New("jaeger.url is no URL") // without it: it may hold a password
	}
	res, err := cmp.Or(j.Client, http.DefaultClient).Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("jaeger does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound && q == nil {
		return nil, nil
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("jaeger answers %s", res.Status)
	}
	var answer struct {
		Data []jaegerTrace `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("jaeger's answer cannot be read: %w", err)
	}
	return answer.Data, nil
}

// id has the zeros that Jaeger leaves out in front.
func (t *jaegerTrace) id() string { return strings.Repeat("0", max(32-len(t.TraceID), 0)) + t.TraceID }

func (t *jaegerTrace) spans() (out []Span) {
	for _, s := range t.Spans {
		start := time.UnixMicro(s.StartTime)
		x := Span{ID: s.SpanID, Name: s.OperationName, Kind: "internal", Start: start, End: start.Add(time.Duration(s.Duration) * time.Microsecond), Attributes: map[string]string{}}
		failed := false
		for _, tag := range s.Tags {
			switch v := fmt.Sprint(tag.Value); tag.Key {
			case "span.kind":
				x.Kind = v
			case "error":
				failed = v == "true"
			case "otel.status_description":
				x.Error = v
			case "otel.status_code", "internal.span.format":
			default:
				x.Attributes[tag.Key] = v
			}
		}
		if x.Error == "" && failed {
			x.Error = "failed"
		}
		x.Attributes["service.name"] = t.Processes[s.ProcessID].ServiceName
		for _, r := range s.References {
			if r.RefType == "CHILD_OF" && x.Parent == "" {
				x.Parent = r.SpanID
			} else {
				x.Links = append(x.Links, SpanLink{Trace: r.TraceID, Span: r.SpanID})
			}
		}
		for _, l := range s.Logs {
			e := SpanEvent{At: time.UnixMicro(l.Timestamp), Attributes: map[string]string{}}
			for _, f := range l.Fields {
				if f.Key == "event" {
					e.Name = fmt.Sprint(f.Value)
				} else {
					e.Attributes[f.Key] = fmt.Sprint(f.Value)
				}
			}
			x.Events = append(x.Events, e)
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Span) int { return a.End.Compare(b.End) })
	return out
}
