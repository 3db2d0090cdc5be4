package services_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// unaware are the parts that any business could run: they take it as a value.
var unaware = []string{"streams", "processors", "services/gateway", "services/ingest", "alerts", "dashboards", "deploy/platform", "deploy/cli"}

// notGeneric are packages below them that know the shop, and what they still know of it.
// One that knows nothing any more is to leave the list.
var notGeneric = map[string]string{
	"processors/projection/projectiontest": "nothing: the library of its test has shelves",
	"streams/business":                     "examples in comments",
	"streams/commandtest":                  "its topology is an order's",
	"streams/verify":                       "nothing: the invariant of the order of events is called so",
	"streams/storetest":                    "its rows are an order's",
}

// shopWords are words of the shop's trade, as they stand in names, texts and comments.
// An order in which things stand is no order that a customer places: see shopOrder.
var shopWords = regexp.MustCompile(`(?i)^(skus?|stock|payments?|shipments?|shipping|carriers?|mailbox(es)?|shel(f|ves)|parcels?|refund(s|ed)?|shoppers?|invoices?|checkout|shop|inventory|captured?|authorised)$`)

// shopOrder finds orders of customers in a text: in the plural, as a part of a name, or
// where no sentence about a sequence has the word.
var shopOrder = regexp.MustCompile(`\b[oO]rders\b|\b[aA]n order\b|\b[oO]rder[-.{/][a-z]|[a-z]-order\b|="order"|^order$`)

// sequences are phrases of which only the sound is the shop's: a number orders rows.
var sequences = regexp.MustCompile(`\borders (the|a)\b|\bsort orders\b`)

// others are names that only sound like the shop's: every SMTP endpoint has a mailbox.
var others = []string{"MapCarrier", "HeaderCarrier", "TextMapCarrier", "Mailbox"}

// found is a word of the shop, and where it is.
type found struct {
	at   token.Position
	word string
}

// words of a name in camel case, or of a text.
func words(text string) []string {
	var b strings.Builder
	lower := false
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r):
			b.WriteByte(' ')
		case unicode.IsUpper(r) && lower:
			b.WriteByte(' ')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		lower = unicode.IsLower(r)
	}
	return strings.Fields(b.String())
}

// ofTheShop is the first word of the shop in a name, a text or a comment.
func ofTheShop(text string, name bool) string {
	if slices.Contains(others, text) {
		return ""
	}
	all := words(text)
	for i, w := range all {
		if shopWords.MatchString(w) {
			return w
		}
		if name && (strings.EqualFold(w, "orders") || strings.EqualFold(w, "order") && i == 0 && len(all) > 1) {
			return text
		}
	}
	if !name {
		return shopOrder.FindString(sequences.ReplaceAllString(text, ""))
	}
	return ""
}

// shopIn are the words of the shop in a file: in names, in texts, in comments.
func shopIn(file string, source any) (out []found, err error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	note := func(at token.Pos, text string, name bool) {
		if w := ofTheShop(text, name); w != "" {
			out = append(out, found{set.Position(at), w})
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false // what is imported is another test's
		case *ast.Ident:
			note(n.Pos(), n.Name, true)
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				text, err := strconv.Unquote(n.Value)
				if err != nil {
					text = n.Value
				}
				note(n.Pos(), text, false)
			}
		}
		return true
	})
	for _, group := range tree.Comments {
		for _, c := range group.List {
			note(c.Pos(), c.Text, false)
		}
	}
	return out, nil
}

// No generic part knows a word of the shop: another business would find it there.
func TestNoGenericPartKnowsTheShop(t *testing.T) {
	knows := map[string][]found{}
	looked := 0
	for _, p := range packages(t) {
		if !under(p.path, unaware...) {
			continue
		}
		looked++
		for _, f := range p.GoFiles {
			in, err := shopIn(filepath.Join(p.Dir, f), nil)
			if err != nil {
				t.Fatal(err)
			}
			knows[p.path] = append(knows[p.path], in...)
		}
		for _, x := range knows[p.path] {
			if notGeneric[p.path] == "" {
				t.Errorf("%s knows the shop: %s:%d says %q", p.path, filepath.Base(x.at.Filename), x.at.Line, x.word)
			}
		}
	}
	for path, what := range notGeneric {
		if len(knows[path]) == 0 {
			t.Errorf("%s knows nothing of the shop any more: take it out of the list (%s)", path, what)
		}
	}
	if looked < 20 {
		t.Errorf("looked at %d packages", looked)
	}
}

// The search itself, on what is and what is not the shop's.
func TestTheShopIsFound(t *testing.T) {
	for text, is := range map[string]bool{
		`var x = "in the order of the log"`: false, `var order = sorted(x)`: false, `var groupOrder int`: false,
		`// proven in order`:        false,
		`var x = "ORDER BY placed"`: false, `var c propagation.MapCarrier`: false, `var provider = otel.Tracer`: false,
		`var x = "an order waits"`: true, `var x = "place-order"`: true, `var x = "order.placed"`: true,
		`var x = "/v1/orders"`: true, `var OrderID int`: true,
		`var orders int`: true, `var unitSKU string`: true, `// stock is claimed`: true, `var x = "order"`: true,
		"var x = `service=\"order\"`": true, `var stockLeft int`: true,
		`// Seq orders the rows`: false, `// it orders two mugs`: true,
	} {
		in, err := shopIn("x.go", fmt.Sprintf("package x\n\n%s\n", text))
		if err != nil {
			t.Fatal(err)
		}
		if len(in) > 0 != is {
			t.Errorf("%s: found %v, want %v", text, in, is)
		}
	}
}
