package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/weirstream/weir/streams"
)

// Bounds of an order. Together they keep order.placed below a broker's limit
// of 1 MB: what is committed and too large to publish would stop its lane.
const (
	MaxLines    = 5_000
	MaxQuantity = 1_000_000
	MaxSKU      = 64  // bytes
	MaxText     = 254 // bytes, of every other field
	// MaxTotal is of minor units: sums of millions of orders fit into 64 bits.
	MaxTotal = 1_000_000_000_000
)

// Priced returns the order with its total, or what is wrong with its content.
func (e OrderPlaced) Priced() (OrderPlaced, error) {
	if n := len(e.Lines); n < 1 || n > MaxLines {
		return e, fmt.Errorf("an order has 1 to %d lines, not %d", MaxLines, n)
	}
	if err := streams.CheckName(string(e.Order)); err != nil {
		return e, err
	}
	if id := string(e.Order); strings.ContainsFunc(id, unicode.IsControl) || strings.TrimSpace(id) != id { // it is part of idempotency keys
		return e, fmt.Errorf("order id %q holds control characters or begins or ends with a space", id)
	}
	a := e.ShipTo
	for _, text := range []string{string(e.Order), e.Customer, e.Email, e.Card, a.Name, a.Street, a.City, a.Postcode, a.Country} {
		if len(text) > MaxText {
			return e, fmt.Errorf("%.20q… is longer than %d bytes", text, MaxText)
		}
	}
	for _, line := range []string{e.Customer, e.Card, a.Name, a.City, a.Postcode, a.Country} { // a street may have several
		if strings.ContainsFunc(line, unicode.IsControl) {
			return e, fmt.Errorf("%.20q holds control characters", line)
		}
	}
	if err := checkEmail(e.Email); err != nil {
		return e, err
	}
	if err := e.Lines[0].Unit.CheckCurrency(); err != nil {
		return e, err
	}
	e.Total = e.Lines[0].Unit.Zero()
	for i, l := range e.Lines {
		total, err := l.addTo(e.Total)
		if err != nil {
			return e, fmt.Errorf("line %d: %w", i+1, err)
		}
		e.Total = total
	}
	if e.Total.Minor > MaxTotal {
		return e, fmt.Errorf("the order comes to %d minor units, and %d is the most", e.Total.Minor, int64(MaxTotal))
	}
	return e, nil
}

// Holds are what the order asks of each shelf, in the order of the SKUs' first lines.
func (e OrderPlaced) Holds() (out []HoldRequested) {
	at := make(map[SKU]int, len(e.Lines))
	for _, l := range e.Lines {
		i, ok := at[l.SKU]
		if !ok {
			i = len(out)
			at[l.SKU], out = i, append(out, HoldRequested{SKU: l.SKU, Order: e.Order})
		}
		out[i].Quantity += l.Quantity
	}
	return out
}

// Digest tells a repeated order from another one with the same id.
func (e OrderPlaced) Digest() string {
	b, err := json.Marshal(e)
	if err != nil { // no field can cause it
		return "unreadable"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Clip cuts a person's or a provider's text to MaxText bytes.
func Clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), MaxText)], "")
}

func (l Line) addTo(total Money) (Money, error) {
	if n := len(l.SKU); n < 1 || n > MaxSKU || strings.ContainsFunc(string(l.SKU), odd) {
		return total, fmt.Errorf("%.20q is no SKU of 1 to %d printable ASCII characters without \" \\ < > &", l.SKU, MaxSKU)
	}
	if err := streams.CheckName(string(l.SKU)); err != nil {
		return total, err
	}
	if l.Quantity < 1 || l.Quantity > MaxQuantity {
		return total, fmt.Errorf("quantity %d is not within 1 and %d", l.Quantity, MaxQuantity)
	}
	if l.Unit.Minor < 1 {
		return total, fmt.Errorf("unit price %d is below 1 minor unit", l.Unit.Minor)
	}
	amount, err := l.Unit.Times(l.Quantity)
	if err != nil {
		return total, err
	}
	return total.Plus(amount)
}

// checkEmail refuses what SMTP cannot carry: the relay's dialogue would fail
// the same way for ever. Empty means that no mail is wanted.
func checkEmail(a string) error {
	local, domain, ok := strings.Cut(a, "@")
	if a != "" && (!ok || local == "" || domain == "" || strings.Contains(a, " ") || strings.ContainsFunc(a, odd)) {
		return fmt.Errorf("%q is no mail address", a)
	}
	return nil
}

// odd characters break an SMTP dialogue, or take six bytes each in JSON, which
// would carry the largest order past the broker's limit.
func odd(r rune) bool { return r < ' ' || r >= 0x7f || strings.ContainsRune(`"\<>&`, r) }
