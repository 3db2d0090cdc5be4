package alerts

// load is what an indicator's test series carry, in events per second. A gauge
// is in breach if any are bad.
type load struct{ good, bad float64 }

// input is a series of a test: of a counter, how it grows per second; of a
// gauge, its value.
type input struct {
	series  string
	value   float64
	counter bool
}

// missing is the value of a series that is not there.
const missing = -1
