package backfill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bytedance/sonic"
)

// objects reads NDJSON: an object on each line.
type objects struct {
	*lines
	paths    []objectPath // of the plan's columns
	list     []string
	trim     bool
	record   int64
	at       int64
	object   map[string]any
	elements []any // of the list, that come yet
}

type objectPath struct {
	name   string
	parts  []string
	listed bool // it is of the list's elements
}

var decoding = sonic.Config{UseNumber: true, CopyString: true, ValidateString: true}.Froze()

func newObjects(l *lines, p *plan) *objects {
	o := &objects{lines: l, trim: p.File.Trim}
	if p.File.List != "" {
		o.list = strings.Split(p.File.List, ".")
	}
	for _, c := range p.columns {
		path := objectPath{name: c}
		rest, ok := strings.CutPrefix(c+".", p.File.List+".")
		if path.listed = ok && p.File.List != ""; !path.listed {
			rest = c + "."
		}
		if rest != "" {
			path.parts = strings.Split(strings.TrimSuffix(rest, "."), ".")
		}
		o.paths = append(o.paths, path)
	}
	return o
}

func (o *objects) next(r *row) error {
	for len(o.elements) == 0 {
		if err := o.decode(); err != nil {
			r.line = o.number
			return err
		}
	}
	element := o.elements[0]
	o.elements = o.elements[1:]
	r.line, r.record = o.at, o.record
	for i, path := range o.paths {
		from := any(o.object)
		if path.listed {
			from = element
		}
		cell, err := cellOf(from, path.parts)
		if err != nil {
			return &refused{fmt.Errorf("column %s %w", path.name, err)}
		}
		if r.cells[i] = cell; o.trim {
			r.cells[i] = strings.TrimSpace(cell)
		}
	}
	return nil
}

// decode reads the next object, over empty lines.
func (o *objects) decode() error {
	b, err := o.line()
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return err
	}
	o.record, o.at, o.object = o.record+1, o.number, nil
	if !utf8.Valid(b) || decoding.Unmarshal(b, &o.object) != nil || o.object == nil {
		return &refused{errors.New("the line is no JSON object in UTF-8")}
	}
	if o.list == nil {
		o.elements = []any{nil}
		return nil
	}
	list := follow(o.object, o.list)
	elements, ok := list.([]any)
	switch {
	case list == nil || ok && len(elements) == 0:
		return &refused{fmt.Errorf("its list %s is empty or missing", strings.Join(o.list, "."))}
	case !ok:
		return &refused{fmt.Errorf("%s is no list", strings.Join(o.list, "."))}
	}
	o.elements = elements
	return nil
}

func follow(v any, path []string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// cellOf is a value as text; null and what is missing are empty.
func cellOf(v any, path []string) (string, error) {
	switch x := follow(v, path).(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case json.Number:
		return x.String(), nil
	case bool:
		if x {
			return "true", nil
		}
		return "false", nil
	case []any:
		return "", errors.New("is a list: name it as file.list to have a row for each element")
	}
	return "", errors.New("is an object: name its fields, with dots")
}
