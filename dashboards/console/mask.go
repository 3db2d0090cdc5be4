package console

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

const hidden = "•••"

// secrets are parts of names of fields that are nobody's business.
var secrets = []string{"email", "mail_address", "card", "ship_to", "address", "password", "secret", "token", "phone"}

var (
	mailAddress = regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*`)
	cardToken   = regexp.MustCompile(`\b(tok|pm|card)[_-][A-Za-z0-9_-]+`)
	cardNumber  = regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`)
)

// mask hides mail addresses, card tokens and card numbers in a text.
func mask(s string) string {
	s = mailAddress.ReplaceAllString(s, hidden+"@"+hidden)
	s = cardToken.ReplaceAllString(s, "${1}_"+hidden)
	return cardNumber.ReplaceAllString(s, hidden)
}

// maskData writes an event's data for the page, without what describes or
// charges a person.
func maskData(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "(no JSON)"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the template does
	e.SetIndent("", "  ")
	if e.Encode(maskValue("", v)) != nil {
		return "(no JSON)"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func maskValue(name string, v any) any {
	if isSecret(name) {
		return hidden
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = maskValue(k, x)
		}
	case []any:
		for i, x := range v {
			v[i] = maskValue(name, x)
		}
	case string:
		return mask(v)
	}
	return v
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, s := range secrets {
		if strings.Contains(name, s) {
			return true
		}
	}
	return false
}
