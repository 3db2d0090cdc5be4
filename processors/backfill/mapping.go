package backfill

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Mapping says how the rows of a file become events. README.md describes its language.
type Mapping struct {
	File        Format      `yaml:"file"`
	Rows        []Condition `yaml:"rows"`  // those that count meet all of them
	Group       *Group      `yaml:"group"` // nil: a record is a group
	Key         *Value      `yaml:"key"`   // of events that say no other; so are those that follow
	Correlation *Value      `yaml:"correlation"`
	Time        *Value      `yaml:"time"`
	Events      []Event     `yaml:"events"` // of each group
}

// Format is how the file is written.
type Format struct {
	Format     string   `yaml:"format"` // csv, ndjson or parquet
	Delimiter  string   `yaml:"delimiter"`
	NoHeader   bool     `yaml:"no_header"`
	Columns    []string `yaml:"columns"` // of a file without a header
	LazyQuotes bool     `yaml:"lazy_quotes"`
	Trim       bool     `yaml:"trim"`      // values are without spaces at their ends
	List       string   `yaml:"list"`      // the column of a list, whose elements are the rows
	Point      string   `yaml:"point"`     // of decimals
	Thousands  string   `yaml:"thousands"` // what may stand between groups of three digits
}

// Condition is one that a row has to meet: of one column, in every way that is said.
type Condition struct {
	Column     string   `yaml:"column"`
	Is         []string `yaml:"is"` // one of
	IsNot      []string `yaml:"is_not"`
	Begins     string   `yaml:"begins"`
	NotBegins  string   `yaml:"not_begins"`
	Matches    string   `yaml:"matches"`
	NotMatches string   `yaml:"not_matches"`
	Above      string   `yaml:"above"` // of numbers
	AtLeast    string   `yaml:"at_least"`
	Below      string   `yaml:"below"`
	AtMost     string   `yaml:"at_most"`
	Empty      *bool    `yaml:"empty"`
}

// Group says which rows are of one group.
type Group struct {
	By    []string `yaml:"by"`    // columns that have the same values
	Agree []string `yaml:"agree"` // columns of which no row has another value than the first one's
	Rows  string   `yaml:"rows"`  // consecutive, or all of the file
	Again string   `yaml:"again"` // of consecutive rows: refuse values that come again, or let them be apart
}

// Event is one of a group.
type Event struct {
	Type        string           `yaml:"type"`
	Where       []Condition      `yaml:"where"` // the group has it only then
	Key         *Value           `yaml:"key"`
	Correlation *Value           `yaml:"correlation"`
	Time        *Value           `yaml:"time"`
	Data        map[string]Value `yaml:"data"` // by field, dotted where nested
}

// Value is where a value comes from: exactly one of Column, Text, Constant, Sum and Count.
// A text in its place is its Column.
type Value struct {
	Column   string  `yaml:"column"`
	Text     string  `yaml:"text"` // with {columns} in it
	Constant *string `yaml:"constant"`
	Sum      string  `yaml:"sum"`   // a column, over the group's rows
	Times    string  `yaml:"times"` // of a sum: the column that each is multiplied by
	Count    string  `yaml:"count"` // rows

	Empty    *string  `yaml:"empty"`    // the text in place of an empty column
	Optional bool     `yaml:"optional"` // a field whose column is empty is left out
	Layout   []string `yaml:"layout"`   // of a time, tried in order
	Zone     string   `yaml:"zone"`
	Currency string   `yaml:"currency"`
	// CurrencyFrom is the column of the currency.
	CurrencyFrom string `yaml:"currency_from"`
	Round        string `yaml:"round"` // half-even
}

// ReadMapping reads a mapping file.
func ReadMapping(path string) (*Mapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the mapping cannot be read: %w", err)
	}
	m, err := ParseMapping(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ParseMapping reads a mapping. Keys that there are not are refused, by their names.
func ParseMapping(text []byte) (*Mapping, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("the mapping is empty: say at least file, key, time and events")
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is a second document behind ---, which nobody would read: one file is one mapping")
	}
	m := &Mapping{}
	if err := fill(reflect.ValueOf(m).Elem(), doc.Content[0], ""); err != nil {
		return nil, err
	}
	return m, nil
}

// fill takes a node of YAML. Scalars are texts as they are written; yaml's own decoder
// would let keys pass that nobody knows, or name types of Go.
func fill(v reflect.Value, n *yaml.Node, path string) error {
	wrong := func(want string) error {
		return fmt.Errorf("line %d: %s has to be %s", n.Line, cmp.Or(path, "the mapping"), want)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return wrong("written out: anchors are not known here")
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), n, path)
	case reflect.Struct:
		if of, ok := v.Addr().Interface().(*Value); ok && n.Kind == yaml.ScalarNode {
			of.Column = n.Value
			return nil
		}
		if n.Kind != yaml.MappingNode {
			return wrong("a mapping of keys")
		}
		return fillKeys(v, n, path)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			return wrong("a mapping of names")
		}
		return fillNames(v, n, path)
	case reflect.Slice:
		items := n.Content
		if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String {
			items = []*yaml.Node{n}
		} else if n.Kind != yaml.SequenceNode {
			return wrong("a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if err := fill(v.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return wrong("one value")
	}
	if v.Kind() == reflect.Bool {
		if n.Tag != "!!bool" {
			return wrong("true or false")
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return nil
	}
	v.SetString(n.Value)
	return nil
}

func fillKeys(v reflect.Value, n *yaml.Node, path string) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		if seen[key.Value] {
			return fmt.Errorf("line %d: %s is there twice", key.Line, name)
		}
		seen[key.Value] = true
		var known []string
		at := -1
		for f := range v.NumField() {
			tag := v.Type().Field(f).Tag.Get("yaml")
			known = append(known, tag)
			if tag == key.Value {
				at = f
			}
		}
		if at < 0 {
			return fmt.Errorf("line %d: %.80q is no key of a mapping: there are %s", key.Line, name, strings.Join(known, ", "))
		}
		if err := fill(v.Field(at), n.Content[i+1], name); err != nil {
			return err
		}
	}
	return nil
}

func fillNames(v reflect.Value, n *yaml.Node, path string) error {
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name := reflect.ValueOf(key.Value)
		if v.MapIndex(name).IsValid() {
			return fmt.Errorf("line %d: %s.%s is there twice", key.Line, path, key.Value)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := fill(item, n.Content[i+1], path+"."+key.Value); err != nil {
			return err
		}
		v.SetMapIndex(name, item)
	}
	return nil
}
