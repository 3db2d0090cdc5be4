package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/services/gateway"
)

// answer is analytics.Answer as the gateway writes it: numbers stay as they are written.
type answer struct {
	Question string                   `json:"question"`
	From     time.Time                `json:"from,omitzero"`
	To       time.Time                `json:"to,omitzero"`
	Zone     string                   `json:"zone"`
	Columns  []analytics.AnswerColumn `json:"columns"`
	Rows     [][]json.RawMessage      `json:"rows"`
	Read     int64                    `json:"read"`
	More     bool                     `json:"more"`
}

func (weir App) askCommand() *cobra.Command {
	c := &cobra.Command{Use: "ask [NAME] [KEY]", Short: "Ask what happened, or list the questions", Args: cobra.MaximumNArgs(2),
		Long: `Ask a question that the business declares, of all that ever happened; without a name,
list the questions. Their rows can be told apart by the hour, day, week, month or year
(not those of baskets, sagas and stories), and by the dimensions that the list has. A
question whose key is listed wants one.

Times are days (2010-12-01, in the time zone), times of RFC 3339, or how long ago: 90m,
12h, 7d, 4w. --to itself is left out.`}
	cl := urlFlag(c)
	out := output(c, "table", "json", "csv", "parquet", "chart")
	limit := 1000
	wholeFlag(c, &limit, "limit", 1, analytics.MaxLimit, "rows of the answer at most")
	var from, to string
	c.Flags().Var(moment(&from), "from", "from when on")
	c.Flags().Var(moment(&to), "to", "until before when")
	zone := c.Flags().String("zone", "", "time zone of days and other times, as Europe/London (default UTC)")
	by := c.Flags().StringSlice("by", nil, "what to tell rows apart by: dimensions, and one of hour, day, week, month and year; or total")
	where := c.Flags().StringArray("where", nil, "a dimension and what it has to be: country=GB; may be given several times")
	file := c.Flags().String("out", "", "file to write it to instead")
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		for _, q := range weir.Business.Questions() {
			if len(args) == 0 {
				names = append(names, q.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		print := func(write func(io.Writer) error) error { return into(c.OutOrStdout(), *file, write) }
		if len(args) == 0 {
			return listQuestions(c, cl, *out, print)
		}
		if *out == "parquet" && *file == "" && isTerminal(c.OutOrStdout()) {
			return usagef("-o parquet is nothing to read: write it to a file with --out")
		}
		q := url.Values{"limit": {strconv.Itoa(limit)}, "where": *where}
		now := time.Now()
		for name, value := range map[string]string{"from": ago(from, now), "to": ago(to, now), "zone": *zone, "by": strings.Join(*by, ",")} {
			if value != "" {
				q.Set(name, value)
			}
		}
		if len(args) > 1 {
			q.Set("key", args[1])
		}
		var a answer
		if err := cl.call(c.Context(), http.MethodGet, gateway.AnalyticsPath+"/"+url.PathEscape(args[0])+"?"+q.Encode(), &a); err != nil {
			return err
		}
		if len(a.Rows) == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "nothing, in this time and of what was chosen")
		}
		if a.More {
			fmt.Fprintf(c.ErrOrStderr(), "these are %d rows, and there are more: ask with a higher --limit, or of a shorter time\n", len(a.Rows))
		}
		return print(func(w io.Writer) error { return a.write(w, *out) })
	}
	return c
}

// into writes to a file, as a whole or not at all, or to w if there is none.
func into(w io.Writer, file string, write func(io.Writer) error) error {
	if file == "" {
		return write(w)
	}
	var b strings.Builder
	if err := write(&b); err != nil {
		return err
	}
	return replaceFile(file, []byte(b.String()))
}

func listQuestions(c *cobra.Command, cl client, form string, print func(func(io.Writer) error) error) error {
	if form != "table" && form != "json" {
		return usagef("the list of questions has no form %q: choose from table, json", form)
	}
	var all gateway.Questions
	if err := cl.call(c.Context(), http.MethodGet, gateway.AnalyticsPath, &all); err != nil {
		return err
	}
	return print(func(w io.Writer) error {
		if form == "json" {
			return printList(w, all.Items, false)
		}
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "QUESTION\tKEY\tBY\tWHAT IT TELLS")
		for _, q := range all.Items {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", Printable(q.Name), Printable(q.Key), Printable(strings.Join(q.Where, ",")), Printable(q.About))
		}
		return t.Flush()
	})
}

const kindMoment = "time"

// moment is a day, a time, or how long ago.
func moment(to *string) checked {
	return checked{to, kindMoment, func(s string) error {
		_, notDay := time.Parse(time.DateOnly, s)
		_, notTime := time.Parse(time.RFC3339, s)
		_, isAgo := analytics.Ago(s)
		if notDay != nil && notTime != nil && !isAgo {
			return errors.New("write a day, as 2010-12-01, a time, as 2010-12-01T08:00:00Z, or how long ago, as 7d")
		}
		return nil
	}}
}

// ago is a time that was given as how long ago; others stay as they are.
func ago(s string, now time.Time) string {
	if d, ok := analytics.Ago(s); ok {
		return now.Add(-d).UTC().Format(time.RFC3339)
	}
	return s
}

// write prints an answer in one of its forms.
func (a *answer) write(w io.Writer, form string) error {
	switch form {
	case "json":
		return printJSON(w, a)
	case "csv":
		return a.csv(w)
	case "parquet":
		return a.parquet(w)
	case "chart":
		return a.chart(w, columnsOf(w))
	}
	return a.table(w)
}

func (a *answer) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i, c := range a.Columns {
		fmt.Fprint(t, strings.ToUpper(Printable(c.Name)), ending(i, len(a.Columns)))
	}
	for _, row := range a.Rows {
		for i, x := range row {
			fmt.Fprint(t, Printable(a.shown(i, x)), ending(i, len(row)))
		}
	}
	return t.Flush()
}

func ending(i, n int) string {
	if i == n-1 {
		return "\n"
	}
	return "\t"
}

// shown is a value for a person; "-" is nothing.
func (a *answer) shown(column int, x json.RawMessage) string {
	text := plainOf(x)
	if text == "" {
		return "-"
	}
	kind := analytics.IsText
	if column < len(a.Columns) {
		kind = a.Columns[column].Kind
	}
	switch kind {
	case analytics.IsDuration:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return rounded(time.Duration(n)).String()
		}
	case analytics.IsShare:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return strconv.FormatFloat(f, 'f', 4, 64)
		}
	}
	return text
}

// rounded keeps three or four digits of a time.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second; unit >= time.Microsecond; unit /= 1000 {
		if d >= unit || d <= -unit {
			return d.Round(unit / 1000)
		}
	}
	return d
}

// plainOf is a value of JSON as text; empty for null.
func plainOf(x json.RawMessage) string {
	var s *string
	if json.Unmarshal(x, &s) == nil {
		if s == nil {
			return ""
		}
		return *s
	}
	return string(x)
}
