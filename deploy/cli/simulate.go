package cli

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/simulate"
	"github.com/weirstream/weir/streams/streamtest"
)

func (weir App) simulateCommand() *cobra.Command {
	c := &cobra.Command{Use: "simulate", Short: "Live through a bad day of the business, in virtual time", Args: cobra.NoArgs,
		Long: `Simulate runs the whole business in virtual time while instances die, freeze and
come back, brokers and stores fail, what is outside goes silent and events come
twice or broken. What runs is what ships: the runtime, the Kafka client, the
event store. At the end the books have to balance, as after "weir dev --for".

A seed fixes what goes wrong and when. It does not fix how Go interleaves, so the
same seed may pass today what it fails tomorrow.`,
		Example: `  weir simulate                     a new day
  weir simulate --seed 42           that of seed 42
  weir simulate --seed 42 --diary   with all that the instances logged`}
	out := output(c, "table", "json")
	seed := c.Flags().Uint64("seed", 0, "what the day is drawn from; 0: a new one")
	file := c.Flags().String("schedule", "", "live through the schedule in this `file`, as a failed test printed it")
	diary := c.Flags().Bool("diary", false, "print also what happened, line by line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		draw, err := chooseDay(*seed, *file)
		if err != nil {
			return err
		}
		var day simulate.Day
		err = waiting(c.Context(), c.ErrOrStderr(), "living through the day", func(func(string)) (err error) {
			lived, err := simulate.Run(weir.Business, draw)
			if c.Context().Err() == nil {
				day = lived
			}
			return err
		})
		if err != nil {
			return err
		}
		if *out == "json" {
			err = printDayJSON(c.OutOrStdout(), day)
		} else {
			err = printDay(c.OutOrStdout(), day, *diary)
		}
		if err == nil && !day.OK() {
			err = errors.New("an invariant is broken")
		}
		return err
	}
	return c
}

func chooseDay(seed uint64, file string) (func(*streamtest.Simulation) streamtest.Schedule, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sch, err := streamtest.ParseSchedule(b)
		return func(*streamtest.Simulation) streamtest.Schedule { return sch }, err
	}
	if seed == 0 {
		seed = 1 + rand.Uint64N(1_000_000)
	}
	return func(s *streamtest.Simulation) streamtest.Schedule { return s.Schedule(seed) }, nil
}

func printDayJSON(w io.Writer, d simulate.Day) error {
	return printJSON(w, map[string]any{"schedule": d.Schedule, "sagas": d.Sagas, "violations": append([]string{}, d.Violations...), "report": d.Report,
		"virtual_seconds": d.Virtual.Seconds(), "real_seconds": d.Real.Seconds()})
}

func printDay(w io.Writer, d simulate.Day, diary bool) error {
	fmt.Fprintln(w, d.Schedule)
	if diary {
		fmt.Fprintln(w, d.Diary())
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SAGA\tOF\tBEGAN AT\tTOOK\tEVENTS\tENDED")
	for _, o := range d.Sagas {
		end := o.Ended
		switch {
		case end == "":
			end = "not at all"
		case o.TakenBack:
			end += ", taken back"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", o.Saga, o.Subject, o.Began.Format("15:04:05.000"), o.Took.Round(time.Millisecond), o.Events, end)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if d.Report != nil {
		fmt.Fprintf(w, "\n%s", d.Report)
	}
	for _, v := range d.Violations {
		fmt.Fprintln(w, "violated:", v)
	}
	_, err := fmt.Fprintf(w, "\nlived through %s of virtual time in %s\n", d.Virtual.Round(time.Second), d.Real.Round(10*time.Millisecond))
	if !d.OK() {
		fmt.Fprintf(w, "\n%s", d.Timeline())
	}
	return err
}
