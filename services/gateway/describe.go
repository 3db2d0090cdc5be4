package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Describe renders the OpenAPI 3.1 document of a business: every path that the
// gateway and ingestion serve.
func Describe(b *business.Business, t *streams.Topology) ([]byte, error) {
	d := &description{business: b, topology: t, paths: object{}, schemas: newSchemas(b.Views())}
	for _, s := range b.Services {
		for _, c := range s.Commands {
			d.command(s.Name, c)
		}
		for _, v := range s.Views {
			d.view(s.Name, v)
		}
	}
	d.platform()
	d.analytics()
	d.events()
	doc := object{"openapi": "3.1.0", "servers": []object{{"url": "/"}}, "paths": d.paths, "tags": d.tags(),
		"info":       object{"title": b.Title, "version": "1", "description": b.About + "\n\n" + manners, "license": object{"name": "MIT", "identifier": "MIT"}},
		"security":   []object{{}, {"apiKey": []string{}}},
		"components": object{"securitySchemes": securitySchemes, "schemas": d.named, "parameters": parameters, "headers": headers, "responses": responses}}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("the description of %s cannot be written: %w", b.Name, err)
	}
	return append(out, '\n'), nil
}

type description struct {
	schemas
	business *business.Business
	topology *streams.Topology
	paths    object
}

// add adds an operation to its path.
func (d *description) add(path, method string, operation object) {
	if d.paths[path] == nil {
		d.paths[path] = object{}
	}
	d.paths[path].(object)[strings.ToLower(method)] = operation
}

// tags are the services, which group the operations, and what the platform has.
func (d *description) tags() (out []object) {
	for _, s := range d.business.Services {
		if len(s.Commands)+len(s.Views) > 0 {
			out = append(out, object{"name": s.Name, "description": "Commands and views of the service " + s.Name + "."})
		}
	}
	return append(out, object{"name": platformTag, "description": "Sagas, questions, events from outside, and the interface itself."})
}

const platformTag = "platform"

// operationID makes a name for programs: "open-account" is openAccount.
func operationID(words ...string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(strings.Join(words, "-"), func(r rune) bool { return r == '-' || r == '_' || r == ' ' }) {
		if b.Len() > 0 {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		b.WriteString(w)
	}
	return b.String()
}

func (d *description) command(service string, c business.Command) {
	body := c.Body(d.topology)
	key, _ := business.KeyField(body)
	schema := d.name(body, true, func() object { return d.requestOf(body, c, key) })
	params := []object{parameter("IdempotencyKey"), parameter("Traceparent")}
	for _, name := range c.Params() {
		params = append(params, object{"name": name, "in": "path", "required": true, "schema": keySchema})
	}
	content := object{"schema": schema}
	if c.Example != nil {
		content["example"] = exampleOf(c)
	}
	door := door{Command: c, body: body, key: key, params: c.Params()}
	op := object{"operationId": operationID(c.Name), "tags": []string{service}, "summary": c.Summary, "parameters": params,
		"requestBody": object{"required": door.needsBody(), "content": object{"application/json": content}},
		"responses":   d.commandResponses(c)}
	about := c.Description
	if c.Caller != "" && c.Caller != business.Anyone {
		about = strings.TrimSpace(about + "\n\nFor: " + string(c.Caller) + ".")
	}
	if about != "" {
		op["description"] = about
	}
	d.add(c.Path, c.Verb(), op)
}

// requestOf is the schema of a command's body, without what stands in the path.
func (d *description) requestOf(body reflect.Type, c business.Command, key reflect.StructField) object {
	schema := d.structure(body, true, c.Params())
	name := business.JSONName(key)
	if slices.Contains(c.Params(), name) {
		return schema
	}
	properties := schema["properties"].(object)
	field := object{"type": "string", "pattern": keySchema["pattern"]}
	required, _ := schema["required"].([]string)
	required = slices.DeleteFunc(required, func(r string) bool { return r == name })
	if c.MakesKey != "" {
		field["description"] = "Made from the Idempotency-Key if missing."
	} else {
		required = append(required, name)
	}
	if schema["required"] = required; len(required) == 0 {
		delete(schema, "required")
	}
	properties[name] = field
	return schema
}

// exampleOf is a command's example without what stands in the path.
func exampleOf(c business.Command) any {
	var members object
	b, err := json.Marshal(c.Example)
	if err != nil || json.Unmarshal(b, &members) != nil {
		return nil
	}
	for _, name := range c.Params() {
		delete(members, name)
	}
	return members
}

func (d *description) commandResponses(c business.Command) object {
	success := http.StatusOK
	if c.Success != 0 {
		success = c.Success
	}
	done := object{"description": "Done. The same request again is answered the same.", "headers": object{"Weir-Token": header("WeirToken")}}
	if c.Reply != nil {
		done["content"] = object{"application/json": object{"schema": d.of(reflect.TypeOf(c.Reply), false)}}
	}
	if success == http.StatusCreated {
		done["headers"].(object)["Location"] = object{"description": "Where what was made can be read.", "schema": object{"type": "string"}}
	}
	return answers(object{fmt.Sprint(success): done}, "400 Problem", "403 Problem", "404 Problem", "409 Problem", "413 Problem", "415 Problem", "422 Problem", "429 TooMany", "503 TryAgain")
}

// answers adds responses of all operations, each by its status and name.
func answers(to object, names ...string) object {
	for _, n := range append(names, "421 Problem") {
		status, name, _ := strings.Cut(n, " ")
		to[status] = object{"$ref": "#/components/responses/" + name}
	}
	return to
}

func parameter(name string) object { return object{"$ref": "#/components/parameters/" + name} }
func header(name string) object    { return object{"$ref": "#/components/headers/" + name} }

// question is an operation that is answered from the read model.
func question(id, tag, summary string, answer object, more []object, statuses ...string) object {
	ok := object{"description": "The answer, and in Weir-Read-Model-Age how old it may be.", "headers": object{"Weir-Read-Model-Age": header("ReadModelAge")},
		"content": object{"application/json": object{"schema": answer}}}
	return object{"operationId": id, "tags": []string{tag}, "summary": summary, "parameters": append(more, parameter("After"), parameter("WeirToken")),
		"responses": answers(object{"200": ok}, append(statuses, "400 Problem", "412 NotYet", "503 TryAgain")...)}
}

func page(items object) object {
	return object{"type": "object", "required": []string{"items"}, "properties": object{"items": object{"type": "array", "items": items},
		"next": object{"type": "string", "description": "Token of the page after this one; missing on the last."}}}
}

// filter is a parameter that may be left empty.
func filter(name string, schema object) object {
	if there, ok := schema["enum"].([]string); ok {
		schema["enum"] = append(slices.Clone(there), "")
	}
	return object{"name": name, "in": "query", "description": "Empty or missing for all.", "schema": schema}
}

var pageParam = object{"name": "page", "in": "query", "description": "The next of the page before.", "schema": object{"type": "string"}}

func (d *description) view(service string, v *business.View) {
	document := d.schemas.view(v)
	one := object{"name": v.One, "in": "path", "required": true, "schema": object{"type": "string"}}
	var filters []object
	for _, f := range v.All() {
		if f.Filter {
			filters = append(filters, filter(f.Name, d.viewField(v, f)))
		}
	}
	list := question(operationID("list", v.Name), service, fmt.Sprintf("List %s, %s, 50 to a page", words(v.Name), sorted(v)), page(document), append(filters, pageParam))
	if v.Sort != "" {
		list["description"] = "Who reads page after page may miss documents whose " + words(v.Sort) + " change meanwhile: they move within the list."
	}
	d.add(v.Path, http.MethodGet, list)
	show := question(operationID("get", v.One), service, v.About, document, []object{one}, "404 Problem")
	show["description"] = "Without a token the answer may be behind the read model, by a moment mostly, by five seconds at most."
	d.add(v.DocumentPath(), http.MethodGet, show)
	if v.History {
		history := object{"type": "object", "required": []string{v.One, "events"}, "properties": object{v.One: object{"type": "string"},
			"events": object{"type": "array", "items": d.of(reflect.TypeFor[projection.Entry](), false)}}}
		d.add(v.HistoryPath(), http.MethodGet, question(operationID("get", v.One, "history"), service, "Every event about one of the "+words(v.Name)+", the earliest first", history, []object{one}, "404 Problem"))
	}
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

func sorted(v *business.View) string {
	if v.Sort == "" {
		return "the newest first"
	}
	return "the greatest " + words(v.Sort) + " first"
}

// platform describes what every business has.
func (d *description) platform() {
	entry, saga := d.of(reflect.TypeFor[projection.Entry](), false), d.of(reflect.TypeFor[projection.Saga](), false)
	var names []string
	for _, s := range d.business.Sagas {
		names = append(names, s.Name)
	}
	d.add("/v1/sagas", http.MethodGet, question("listSagas", platformTag, "List sagas, the newest first, 50 to a page", page(saga), []object{
		{"name": "saga", "in": "query", "description": "Name of a declared saga.", "schema": object{"type": "string", "examples": names}},
		filter("state", object{"type": "string", "enum": []string{projection.Running, projection.Ended}}), pageParam}))
	d.add("/v1/sagas/{correlation}", http.MethodGet, question("getSaga", platformTag, "The sagas of a correlation and its events",
		object{"type": "object", "required": []string{"correlation", "sagas", "events"}, "properties": object{"correlation": object{"type": "string"},
			"sagas": object{"type": "array", "items": saga}, "events": object{"type": "array", "items": entry}}},
		[]object{{"name": "correlation", "in": "path", "required": true, "schema": object{"type": "string"}}}, "404 Problem"))
	skipped := d.of(reflect.TypeFor[projection.Skipped](), false)
	d.add("/v1/skipped", http.MethodGet, question("listSkipped", platformTag, "The latest 50 records that are not in the read model",
		object{"type": "object", "required": []string{"items"}, "properties": object{"items": object{"type": "array", "items": skipped}}}, nil))
	d.add(DescriptionPath, http.MethodGet, object{"operationId": "getDescription", "tags": []string{platformTag}, "summary": "This description",
		"responses": answers(object{"200": object{"description": "OpenAPI 3.1.", "content": object{"application/vnd.oai.openapi+json;version=3.1": object{"schema": object{"type": "object"}}}}})})
}

// events describes ingestion: the types that are taken, each with its data.
func (d *description) events() {
	var kinds []object
	for _, f := range d.topology.Vocabulary.Facts() {
		if f.External {
			kinds = append(kinds, d.cloudEvent(f))
		}
	}
	if len(kinds) == 0 {
		return
	}
	event := kinds[0]
	if len(kinds) > 1 {
		event = object{"anyOf": kinds}
	}
	results := object{"type": "object", "required": []string{"results"}, "properties": object{"results": object{"type": "array", "items": d.of(reflect.TypeFor[ingest.Result](), false)}}}
	taken := func(about string) object {
		return object{"description": about, "content": object{"application/json": object{"schema": results}}}
	}
	d.add(ingest.Path, http.MethodPost, object{"operationId": "postEvents", "tags": []string{platformTag}, "summary": "Post events from outside, as CloudEvents 1.0",
		"description": "Structured mode and batch mode; binary mode too (application/json with ce- headers). Only types declared external are taken. Repeats are told by source and id, so sending again is harmless; another event under the same source and id is a conflict, for a day.",
		"parameters":  []object{parameter("Traceparent")},
		"requestBody": object{"required": true, "description": "At most 1 MiB, as sent and inflated, 64 levels deep, 1000 events.", "content": object{
			"application/cloudevents+json":       object{"schema": event},
			"application/cloudevents-batch+json": object{"schema": object{"type": "array", "items": event}}}},
		"responses": answers(object{"202": taken("The log has every event, on all replicas in sync."), "207": taken("The log has some events; others were refused for good.")},
			"400 Problem", "409 Problem", "413 Problem", "415 Problem", "422 Problem", "429 TooMany", "503 TryAgain")})
}

func (d *description) cloudEvent(f streams.Fact) object {
	text := object{"type": "string", "minLength": 1, "maxLength": 1024}
	return object{"type": "object", "required": []string{"specversion", "id", "source", "type", "data"}, "properties": object{
		"specversion": object{"const": "1.0"}, "id": text, "source": object{"type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 1024},
		"type": object{"const": f.Name}, "time": object{"type": "string", "format": "date-time"}, "datacontenttype": object{"const": "application/json"},
		"dataversion": object{"type": "integer", "minimum": 1, "maximum": f.Version}, "correlationid": object{"type": "string"}, "traceparent": object{"type": "string"},
		"data": d.eventData(f)}}
}

// eventData is the schema of an external event's data, all of whose fields have to be
// there, but those that JSON leaves out.
func (d *description) eventData(f streams.Fact) object {
	return d.name(f.Type, true, func() object {
		schema := d.structure(f.Type, true, nil)
		required := []string{}
		for name, f := range streams.Fields(f.Type) {
			if !strings.Contains(f.Tag.Get("json"), ",omit") {
				required = append(required, name)
			}
		}
		slices.Sort(required)
		schema["required"] = required
		return schema
	})
}
