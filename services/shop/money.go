package shop

import "github.com/weirstream/weir/streams/telemetry"

// Money is what the shop's money is measured by.
func Money() []telemetry.Amount {
	digits := map[string]int{"EUR": 2, "GBP": 2, "USD": 2}
	return []telemetry.Amount{
		{Title: "Money taken an hour", Metric: telemetry.MoneyTaken, Digits: digits, Help: "Money captured in an hour, at the pace of now. It falls while orders come: payments or shipments wait."},
		{Title: "Money held", Metric: telemetry.MoneyHeld, Digits: digits, Help: "Money set aside and neither captured nor given back. It rises while nothing is sold: captures or voids wait."},
	}
}
