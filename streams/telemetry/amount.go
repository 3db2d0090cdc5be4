package telemetry

// Amount declares money that a business has measured, for who shows it: a metric in
// minor units, with the label "currency". Of a counter it is what comes in an hour.
type Amount struct {
	Title, Help string
	Metric      string         // of the catalogue
	Digits      map[string]int // of the currencies' minor units, by their ISO 4217 codes
}
