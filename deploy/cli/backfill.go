package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	"github.com/weirstream/weir/processors/projection"
)

func (weir App) backfillCommand() *cobra.Command {
	c := &cobra.Command{Use: "backfill", Args: cobra.NoArgs, Short: "Write the tables of analytics anew, or take a file of events in",
		Long: `Write the tables of analytics anew beside those that answer, prove that they hold
what the log says, compare the two, and swap them. Or take the events of a file in.

--from log     reads the log from its beginning, and what it no longer has from the
               event stores. --from stores reads all that services wrote from their
               event stores; what came from outside is on the log alone.
--file FILE    takes the rows of a file in as events, as --mapping says, each once:
               the file is staged, compared with what is staged, and moved. To do it
               again changes nothing. What services have lived through is on the log,
               and a file of the same is refused: it would count twice (see
               --accept-twice). processors/backfill/README.md has the language.

Whatever ends it, even SIGKILL: run the same command again, and it goes on. Nothing
is swapped that is not proved, nor what has fewer events than there are now (see
--accept-fewer). Questions are answered all the time, and the writer of analytics
goes on in the new tables some seconds after the swap. The old ones stay until the
next backfill, or --drop-old.

What is embedded belongs to one process: stop weir dev first, and name its directory
with --data. With ClickHouse and Kafka in weir.yaml everything runs on meanwhile.`,
		Example: `  weir backfill --from log --dry-run             # what would be done
  weir backfill --from log --rate 5000           # on the servers of ./weir.yaml, at most 5000 events a second
  weir backfill --from log --data ./data         # of weir dev --data ./data, which is stopped
  weir backfill --file rows.csv --mapping rows.yaml --data ./data
  weir backfill --status                         # how far it is, and which files are in
  weir backfill --remove file/0123456789abcdef   # take a file out again`}
	out, options := output(c, "table", "json"), weir.storeOptions(c)
	var b platform.Backfill
	var from, remove string
	var dry, status, dropOld, dropShadow bool
	f := c.Flags()
	f.Var(oneWord(&from, "log", "stores"), "from", "write the tables anew, from the log or the event stores")
	complete(c, "from", "log", "stores")
	f.StringVar(&b.File, "file", "", "take this file in: CSV, NDJSON or Parquet")
	f.StringVar(&b.Mapping, "mapping", "", "what the rows of --file are: a YAML file")
	f.StringVar(&remove, "remove", "", "take a file out again, by the name that --status shows, as file/0123456789abcdef")
	numberFlag(c, &b.Rate, "rate", 0, 10_000_000, "events a second, at most (default: as fast as they are taken)")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&b.Fewer, "accept-fewer", false, "swap also for tables with fewer events than there are now")
	f.BoolVar(&b.Twice, "accept-twice", false, "take events in though there are some of the same types and keys from the log")
	f.BoolVar(&status, "status", false, "show how far it is, and which files are in")
	f.BoolVar(&dropOld, "drop-old", false, "remove the tables from before the last swap, and files that were staged and never moved")
	f.BoolVar(&dropShadow, "drop-shadow", false, "remove the tables that an earlier run has begun")
	c.RunE = func(c *cobra.Command, _ []string) error {
		asked := 0
		for _, is := range []bool{from != "", b.File != "", remove != "", status, dropOld, dropShadow} {
			if is {
				asked++
			}
		}
		switch {
		case asked != 1:
			return usagef("say one of --from, --file, --remove, --status, --drop-old and --drop-shadow. See weir backfill --help")
		case (b.File != "") != (b.Mapping != ""):
			return usagef("--file and --mapping go together: a file is read by a mapping")
		case dry && from == "" && b.File == "":
			return usagef("--dry-run goes with --from or --file")
		case b.Fewer && from == "":
			return usagef("--accept-fewer goes with --from")
		case b.Twice && b.File == "":
			return usagef("--accept-twice goes with --file")
		}
		o, err := options()
		if err != nil {
			return err
		}
		o.Log = slog.New(slog.NewTextHandler(config.Hiding(c.ErrOrStderr()), &slog.HandlerOptions{Level: slog.LevelWarn}))
		b.FromStores = from == "stores"
		w := c.OutOrStdout()
		switch {
		case status:
			state, err := platform.Backfilled(c.Context(), o)
			return shown(w, *out, state, err, printState)
		case dropOld || dropShadow:
			what := analytics.OldTables
			if dropShadow {
				what = analytics.ShadowTables
			}
			was, err := platform.DropBeside(c.Context(), o, what)
			return shown(w, *out, was, err, func(w io.Writer, was platform.BackfillState) error { return printDropped(w, was, what) })
		case remove != "":
			gone, err := platform.RemoveFile(c.Context(), o, remove)
			return shown(w, *out, gone, err, func(w io.Writer, f rebuild.KnownFile) error {
				_, err := fmt.Fprintf(w, "%s (%s) is out again: %d events in %d rows\n", f.Name, f.Topic, f.Events, f.Rows)
				return err
			})
		case dry && from != "":
			plan, err := platform.Planned(c.Context(), o, b)
			return shown(w, *out, plan, err, printSteps)
		}
		return weir.runBackfill(c, o, b, dry, *out)
	}
	return c
}

// runBackfill does what takes long.
func (weir App) runBackfill(c *cobra.Command, o platform.Options, b platform.Backfill, dry bool, form string) error {
	var anew *rebuild.Report
	var file *rebuild.FileReport
	err := waiting(c.Context(), c.ErrOrStderr(), "", func(say func(string)) (err error) {
		last := time.Time{}
		b.Told = func(p rebuild.Progress) {
			if time.Since(last) > time.Second/2 {
				last = time.Now()
				say(progressLine(p))
			}
		}
		if b.File != "" {
			r, err := platform.LoadFile(c.Context(), o, b, dry)
			if c.Context().Err() == nil {
				file = r
			}
			return err
		}
		r, err := platform.Anew(c.Context(), o, b)
		if c.Context().Err() == nil {
			anew = r
		}
		return err
	})
	if c.Context().Err() != nil {
		return fmt.Errorf("%w. Run it again, and it goes on from here", err)
	}
	switch {
	case anew != nil && (err == nil || anew.Parity != nil):
		return errors.Join(shown(c.OutOrStdout(), form, anew, nil, printAnew), away(err))
	case file != nil && err == nil:
		return shown(c.OutOrStdout(), form, file, nil, func(w io.Writer, r *rebuild.FileReport) error { return printFile(w, r, dry) })
	}
	return away(err)
}

// away tells what could not be asked from what is not as it should be.
func away(err error) error {
	if errors.Is(err, projection.ErrUnavailable) {
		return unreachable{err}
	}
	return err
}

// shown prints what was asked for, unless it could not be had.
func shown[T any](w io.Writer, form string, x T, err error, text func(io.Writer, T) error) error {
	switch {
	case err != nil:
		return away(err)
	case form == "json":
		return printJSON(w, x)
	}
	return text(w, x)
}

// progressLine is one for a terminal.
func progressLine(p rebuild.Progress) string {
	s := p.Doing + " "
	switch {
	case p.Of > 0:
		s += fmt.Sprintf("%d of %d, %d %% ", p.Done, p.Of, 100*p.Done/p.Of)
	case p.Done > 0:
		s += fmt.Sprintf("%d ", p.Done)
	}
	if p.Rate >= 1 {
		s += fmt.Sprintf("at %.0f a second ", p.Rate)
	}
	if left := p.Left(); left > 0 {
		s += fmt.Sprintf("%s left ", left.Round(time.Second))
	}
	return s
}

func printSteps(w io.Writer, p rebuild.Plan) error {
	for i, s := range p.Steps {
		if _, err := fmt.Fprintf(w, "%d. %s\n", i+1, s); err != nil {
			return err
		}
	}
	return nil
}

func printState(w io.Writer, s platform.BackfillState) error {
	fmt.Fprintf(w, "events in the tables that answer: %d\n", s.Events)
	switch {
	case s.Half:
		fmt.Fprintln(w, "a swap is half done: weir backfill --from log finishes it")
	case s.Shadow:
		fmt.Fprintf(w, "being written anew: %d events so far; the command that began it goes on with it\n", s.ShadowEvents)
	}
	if s.Old {
		fmt.Fprintln(w, "the tables from before the last swap are there: weir backfill --drop-old removes them")
	}
	if len(s.Staged) > 0 {
		fmt.Fprintf(w, "files on their way: %d; the commands that began them go on with them\n", len(s.Staged))
	}
	if len(s.Files) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tCALLED\tMAPPING\tEVENTS\tROWS\tTAKEN IN\tWHOLE")
	for _, f := range s.Files {
		whole := "yes"
		if !f.Whole {
			whole = "no: take it in again"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", f.Topic, Printable(f.Name), f.Mapping, f.Events, f.Rows, f.At.Format(time.DateTime), whole)
	}
	return t.Flush()
}

func printDropped(w io.Writer, was platform.BackfillState, what string) error {
	said := "there was nothing to remove"
	switch {
	case what == analytics.ShadowTables && was.Shadow:
		said = fmt.Sprintf("removed are the tables that were begun, with %d events", was.ShadowEvents)
	case what == analytics.OldTables && (was.Old || len(was.Staged) > 0):
		said = fmt.Sprintf("removed are the tables from before the last swap, and %d files that were staged", len(was.Staged))
	}
	_, err := fmt.Fprintln(w, said)
	return err
}

func printAnew(w io.Writer, r *rebuild.Report) error {
	if r.Finished {
		_, err := fmt.Fprintln(w, "The swap of an earlier run is finished. To write the tables anew once more, run it again.")
		return err
	}
	fmt.Fprintf(w, "%d events written, %d blocks proved", r.Written, r.Blocks)
	if r.Files > 0 {
		fmt.Fprintf(w, ", %d files carried over", r.Files)
	}
	fmt.Fprintf(w, ", in %s\n", time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
	if err := printParity(w, r.Parity); err != nil || r.Events == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "The tables are swapped: %d events answer. The old ones stay until the next backfill, or weir backfill --drop-old.\n", r.Events)
	return err
}

func printParity(w io.Writer, p *rebuild.Parity) error {
	if len(p.Differ) == 0 {
		_, err := fmt.Fprintf(w, "parity: all %d hours are the same in both\n", p.Hours)
		return err
	}
	fmt.Fprintf(w, "parity: %d hours are the same in both, and %d differ\n", p.Hours, len(p.Differ)+p.More)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "HOUR\tTOPIC\tEVENT\tNOW\tANEW\tPERHAPS BECAUSE")
	for _, d := range p.Differ {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", d.Hour.Format("2006-01-02 15:04"), d.Topic, Printable(d.Type), d.Live, d.Anew, d.Because)
	}
	if p.More > 0 {
		fmt.Fprintf(t, "and %d more\n", p.More)
	}
	return t.Flush()
}

func printFile(w io.Writer, r *rebuild.FileReport, dry bool) error {
	switch {
	case r.Known:
		fmt.Fprintf(w, "The file is in already, as %s, with %d events: nothing was done.\n", r.Topic, r.Events)
		return nil
	case dry:
		fmt.Fprintf(w, "The file would give %d events, as %s:\n", r.Events, r.Topic)
	default:
		fmt.Fprintf(w, "%d events are in, as %s, after %s:\n", r.Events, r.Topic, time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "TABLE\tROWS\tCHECKSUM")
	for _, name := range sortedTables(r.Tables) {
		fmt.Fprintf(t, "%s\t%d\t%016x\n", name, r.Tables[name].Rows, r.Tables[name].Checksum)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "Of the file's %d rows %d are used, %d left out, %d refused.\n", r.Rows.Rows, r.Rows.Used, r.Rows.LeftOut, r.Rows.Refused)
	for _, l := range r.Rows.Left {
		if l.Rows > 0 {
			fmt.Fprintf(w, "  left out: %d, as not %s\n", l.Rows, l.Because)
		}
	}
	for _, x := range r.Rows.List {
		fmt.Fprintf(w, "  refused: line %d: %s\n", x.Line, Printable(x.Reason))
	}
	return nil
}

func sortedTables(m map[string]analytics.Sum) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
