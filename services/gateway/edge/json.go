package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckJSON refuses a body that is not one JSON value (CheckSyntax), or that two
// readers could read differently (CheckMembers).
func CheckJSON(b []byte) *Problem {
	if p := CheckSyntax(b); p != nil {
		return p
	}
	if err := CheckMembers(b); err != nil {
		return BadJSON(err.Error())
	}
	return nil
}

// CheckSyntax refuses what is not one JSON value in UTF-8 of at most MaxDepth.
func CheckSyntax(b []byte) *Problem {
	switch {
	case !utf8.Valid(b):
		return BadJSON("the body is not valid UTF-8")
	case tooDeep(b):
		return BadJSON("the body nests deeper than 64 levels")
	case !json.Valid(b):
		return BadJSON("the body is not one JSON value")
	}
	return nil
}

// BadJSON refuses a body.
func BadJSON(detail string) *Problem {
	return &Problem{Code: "malformed-json", Status: http.StatusBadRequest, Detail: detail}
}

// tooDeep counts brackets outside of strings, before any parser recurses.
func tooDeep(b []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// CheckMembers refuses a value that passed CheckSyntax if two readers could read
// it differently: encoding/json takes the last of two members of one name, takes
// Quantity for quantity, and makes U+FFFD of every lone surrogate, so that two
// texts become one. Control characters are refused too, as no store and no
// terminal has to live with them; texts may hold line feeds and tabs. The error
// names the member, as in parts[0].name.
func CheckMembers(b []byte) error {
	s := scanner{b: b}
	if f := s.value(); f != nil {
		return f
	}
	return nil
}

// fault is what is wrong with a member. Its path grows as the scanner returns:
// long names cost nothing as long as nothing is wrong.
type fault struct {
	path []string // from the member up
	what string
}

func (f *fault) Error() string {
	var path strings.Builder
	for i := len(f.path) - 1; i >= 0; i-- {
		path.WriteString(f.path[i])
	}
	if path.Len() == 0 {
		return "the value " + f.what
	}
	return strings.TrimPrefix(path.String(), ".") + " " + f.what
}

func (f *fault) at(step string) *fault {
	f.path = append(f.path, step)
	return f
}

// step is a member's place in a path, cut and without anything odd.
func step(name string) string {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	if q := strconv.Quote(name); q[1:len(q)-1] != name || strings.ContainsAny(name, ".[] ") || name == "" {
		return "[" + q + "]"
	}
	return "." + name
}

// scanner walks JSON that is known to be valid.
type scanner struct {
	b []byte
	i int
}

// next is the next byte that means something.
func (s *scanner) next() byte {
	for s.i < len(s.b) && strings.IndexByte(" \t\r\n,:", s.b[s.i]) >= 0 {
		s.i++
	}
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

func (s *scanner) value() *fault {
	switch s.next() {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		text, f := s.text()
		if f == nil && strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
			f = &fault{what: "holds a control character: send text without them"}
		}
		return f
	}
	for s.i < len(s.b) && strings.IndexByte(" \t\r\n,:]}", s.b[s.i]) < 0 { // a number or a literal
		s.i++
	}
	return nil
}

func (s *scanner) array() *fault {
	s.i++
	for n := 0; s.next() != ']'; n++ {
		if f := s.value(); f != nil {
			return f.at("[" + strconv.Itoa(n) + "]")
		}
	}
	s.i++
	return nil
}

func (s *scanner) object() *fault {
	s.i++
	names := map[string]string{} // as they are spelt, by what encoding/json takes them for
	for s.next() != '}' {
		name, f := s.text()
		if f != nil {
			return f.at(step(name))
		}
		if strings.ContainsFunc(name, unicode.IsControl) {
			return (&fault{what: "has a control character in its name"}).at(step(name))
		}
		folded := strings.Map(fold, name)
		if have, ok := names[folded]; ok && have == name {
			return (&fault{what: "is there twice: send each member once"}).at(step(name))
		} else if ok {
			return (&fault{what: fmt.Sprintf("and %.64q differ only in case: send one of them", have)}).at(step(name))
		}
		names[folded] = name
		if f := s.value(); f != nil {
			return f.at(step(name))
		}
	}
	s.i++
	return nil
}

// text reads a string.
func (s *scanner) text() (string, *fault) {
	from, escaped := s.i, false
	for s.i++; s.b[s.i] != '"'; s.i++ {
		if s.b[s.i] == '\\' {
			escaped = true
			s.i++
		}
	}
	s.i++
	raw := s.b[from:s.i]
	if !escaped {
		return string(raw[1 : len(raw)-1]), nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", &fault{what: "cannot be read: " + err.Error()}
	}
	if loneSurrogate(raw) {
		return text, &fault{what: "holds half of a surrogate pair, which is no character"}
	}
	return text, nil
}

// loneSurrogate looks for an escape \ud800 to \udfff that is not half of a pair.
func loneSurrogate(raw []byte) bool {
	unit := func(i int) uint64 {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		if err != nil {
			return 0
		}
		return n
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xd800 && u <= 0xdbff:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		default:
			i++ // what is escaped begins no escape
		}
	}
	return false
}

// fold is the least of the characters that encoding/json takes for r.
func fold(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}
