package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Load is how a business takes a file of data that others have: the load command.
type Load struct {
	Of, Short, Long, Example string // Of is what is sent, in the plural
	// Run sends what is in the file. Its error is one of Unreachable if nobody answered.
	Run         func(ctx context.Context, o LoadOptions) (LoadReport, error)
	Unreachable error
}

// LoadOptions say what to load, and whereto.
type LoadOptions struct {
	File, URL   string
	Rate        float64   // a second; as fast as they are taken if 0
	Concurrency int       // at once
	Progress    io.Writer // gets a bar if it is a terminal
}

// LoadReport is what became of a file.
type LoadReport struct {
	JSON    any
	Print   func(io.Writer) error
	Nothing bool // was sent
}

func (weir App) loadCommand() *cobra.Command {
	l, o := weir.Load, LoadOptions{Concurrency: 16}
	c := &cobra.Command{Use: "load FILE.csv", Args: cobra.ExactArgs(1), Short: l.Short, Long: l.Long, Example: l.Example}
	cl := urlFlag(c)
	out := output(c, "table", "json")
	numberFlag(c, &o.Rate, "rate", 0, 100_000, l.Of+" per second (default: as fast as they are taken)")
	wholeFlag(c, &o.Concurrency, "concurrency", 1, 1000, l.Of+" under way at once")
	c.RunE = func(c *cobra.Command, args []string) error {
		base, err := cl.base()
		if err != nil {
			return err
		}
		o.File, o.URL, o.Progress = args[0], base, c.ErrOrStderr()
		r, err := l.Run(c.Context(), o)
		if errors.Is(err, l.Unreachable) {
			err = unreachable{fmt.Errorf("%s: %w. Is weir dev running?", base, err)}
		}
		if r.Nothing {
			return err
		}
		if *out == "json" {
			return errors.Join(printJSON(c.OutOrStdout(), r.JSON), err)
		}
		return errors.Join(r.Print(c.OutOrStdout()), err)
	}
	return c
}
