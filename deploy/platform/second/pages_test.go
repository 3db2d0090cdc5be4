package second

import (
	"regexp"
	"strings"
	"testing"
)

// ofTheShop are words that no page of another business may hold.
var ofTheShop = regexp.MustCompile(`(?i)\b(orders?|skus?|parcels?|carrier|payment|cancelled|shipped|confirmed)\b`)

// pages looks at the live page of the library: each holds its words, and none of the shop's.
func pages(t *testing.T, url string) {
	t.Helper()
	for path, want := range map[string][]string{
		"/":                   {"Begun → answered", "Taken back", "lend-a-book", "<th>loan</th>", `href="/views"`},
		"/sagas":              {"Loan, book, correlation or trace", "<th>loan</th>", `<th class="wide">book</th>`, "lend-a-book"},
		"/sagas?state=stuck":  {"No running saga is beyond"},
		"/views":              {`<a href="/loans">loans</a>`, `<a href="/books">books</a>`, "How much a book is read."},
		"/loans":              {"What became of a loan.", "<th>book</th>", `href="/loans/`, ">Refused</a>"},
		"/loans?book=emma":    {`href="/loans/l-1"`},
		"/books":              {`<th class="n">loans</th>`, "loans per copy", `href="/books/emma"`},
		"/books/emma":         {"<dt>copies</dt><dd>2</dd>", "<dt>loans per copy</dt><dd>0.5</dd>"},
		"/loans/l-1":          {"lend-a-book", "Loan begun after ", "book emma", "copy.lent"},
		"/loans/never":        {"No loan of this name has begun"},
		"/dead-letters":       {"Nothing is parked"},
		"/faults":             {"courier-down"},
		"/traces":             {"Traces"},
		"/sagas?q=nobody-yet": {"Nothing is called"},
	} {
		r := ask(t, "GET", url+path, "")
		for _, w := range want {
			if !strings.Contains(r.body, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
		if w := ofTheShop.FindString(r.body); w != "" || strings.Contains(r.body, "jane") {
			t.Errorf("%s holds %q, or says who reads", path, w)
		}
	}
}
