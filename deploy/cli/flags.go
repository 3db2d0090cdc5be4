package cli

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirstream/weir/deploy/config"
)

// Numbers, times and addresses that no run could have are refused when the flag is
// read: each of these flags has bounds.

// number is a flag's value between two bounds. NaN is outside of any.
type number struct {
	to     *float64
	lo, hi float64
}

func (n number) String() string {
	if n.to == nil {
		return ""
	}
	return strconv.FormatFloat(*n.to, 'g', -1, 64)
}
func (n number) Type() string { return "number" }
func (n number) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v < n.lo || v > n.hi {
		return usagef("choose a number from %v to %v", n.lo, n.hi)
	}
	*n.to = v
	return nil
}

// numberFlag is a number between lo and hi, to begin with the one that is there.
func numberFlag(c *cobra.Command, to *float64, name string, lo, hi float64, usage string) {
	c.Flags().Var(number{to, lo, hi}, name, usage)
}

// whole is a whole number between two bounds.
type whole[T ~int | ~int32] struct {
	to     *T
	lo, hi T
}

func (n whole[T]) String() string {
	if n.to == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n.to), 10)
}
func (n whole[T]) Type() string { return "int" }
func (n whole[T]) Set(s string) error {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < int64(n.lo) || v > int64(n.hi) {
		return usagef("choose a whole number from %d to %d", n.lo, n.hi)
	}
	*n.to = T(v)
	return nil
}

func wholeFlag[T ~int | ~int32](c *cobra.Command, to *T, name string, lo, hi T, usage string) {
	c.Flags().Var(whole[T]{to, lo, hi}, name, usage)
}

// span is a time between 0 and a bound; not under the least, unless it is 0.
type span struct {
	to        *time.Duration
	least, hi time.Duration
}

func (d span) String() string {
	if d.to == nil {
		return ""
	}
	return d.to.String()
}
func (d span) Type() string { return "duration" }
func (d span) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 || v > d.hi || v != 0 && v < d.least {
		return usagef("choose 0, or a time from %s to %s, as 30s or 1m", d.least, d.hi)
	}
	*d.to = v
	return nil
}

func spanFlag(c *cobra.Command, to *time.Duration, name string, least, hi time.Duration, usage string) {
	c.Flags().Var(span{to, least, hi}, name, usage)
}

// checked is a text that has to have a form.
type checked struct {
	to    *string
	kind  string
	check func(string) error
}

func (x checked) String() string {
	if x.to == nil {
		return ""
	}
	return *x.to
}
func (x checked) Type() string { return x.kind }
func (x checked) Set(s string) error {
	if err := x.check(s); err != nil {
		return usageError{err}
	}
	*x.to = s
	return nil
}

// Kinds of checked flags. What a URL was is not told again: it may hold a secret.
const (
	kindURL     = "URL"
	kindOutside = "ENDPOINT=ADDRESS"
	kindAddress = "host:port"
)

func webURL(to *string) checked   { return checked{to, kindURL, config.Web} }
func listener(to *string) checked { return checked{to, kindAddress, config.Address} }

// loopback is an address that this machine alone reaches.
func loopback(to *string) checked {
	return checked{to, kindAddress, func(s string) error {
		if host, _, _ := net.SplitHostPort(s); host != "127.0.0.1" && host != "localhost" {
			return errors.New("it is served on this machine alone: write 127.0.0.1:port")
		}
		return config.Address(s)
	}}
}

func oneWord(to *string, allowed ...string) checked {
	return checked{to, strings.Join(allowed, "|"), func(s string) error {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("choose from %s%s", strings.Join(allowed, ", "), didYouMean(s, allowed))
		}
		return nil
	}}
}

// isURL refuses what is no address of a server on the web.
func isURL(flag, s string) error {
	if err := config.Web(s); err != nil {
		return usagef("%s: %v", flag, err)
	}
	return nil
}

// wrongFlag says what is wrong with a flag. The value of a URL is left out.
func wrongFlag(c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 { // whose flag it is, nobody knows
		return unknownCommand(c, c.Flags().Arg(0))
	}
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &invalid) && slices.Contains([]string{kindURL, kindOutside}, invalid.GetFlag().Value.Type()):
		err = fmt.Errorf("--%s cannot be used: %w", invalid.GetFlag().Name, invalid.Unwrap())
	case errors.As(err, &invalid):
		err = fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
	}
	return usageError{fmt.Errorf("%w%s. See %s --help", err, likeFlag(c, err), c.CommandPath())}
}

// likeFlag suggests the flag that was meant by one that is not there.
func likeFlag(c *cobra.Command, err error) string {
	_, given, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return didYouMean("--"+given, names)
}
