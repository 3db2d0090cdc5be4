package console

import "regexp"

const hidden = "•••"

// mailAddress is the one thing that is hidden by its form: nothing else looks like it.
// What else is a person's, the fields of the business's types declare.
var mailAddress = regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*`)

// mask hides mail addresses in a text.
func mask(s string) string { return mailAddress.ReplaceAllString(s, hidden+"@"+hidden) }
