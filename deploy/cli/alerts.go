package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/ruletest"
)

// businessAlerts are what the business promises and watches.
func (weir App) businessAlerts(runbooks string) (*alerts.Set, error) {
	b, err := weir.boards("")
	if err != nil {
		return nil, err
	}
	b.Alerts.Runbooks = runbooks
	return b.Alerts, b.Alerts.Check()
}

func (weir App) alertsCommand() *cobra.Command {
	c := &cobra.Command{Use: "alerts", Short: "Render objectives and alerts for Prometheus, and test every one of them",
		Long: `The objectives of the business and the alerts beside them are values in the code.
They render to rules and their tests for Prometheus, routes for Alertmanager,
OpenSLO documents and runbooks.`}
	runbooks := c.PersistentFlags().String("runbooks", alerts.DefaultRunbooks, "address that a runbook's name is put behind, in the alerts")
	c.AddCommand(weir.alertsRender(runbooks), weir.alertsTest(), weir.alertsDiff(runbooks), alertsImport(runbooks))
	return c
}

func (weir App) alertsRender(runbooks *string) *cobra.Command {
	c := &cobra.Command{Use: "render", Args: cobra.NoArgs, Short: "Write rules/, tests/, alertmanager.yml, openslo/ and runbooks/",
		Long: `Write rules/, tests/, alertmanager.yml, openslo/ and runbooks/ into a directory.
What an earlier render wrote there and this one does not is removed: rules that
nobody promises any more would go on to be evaluated. Other files stay as they are,
and one that stands where a file is to be written is kept as NAME.orig.`}
	dir := c.Flags().String("out", "", "directory to write to")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *dir == "" {
			return usagef("--out is missing: name the directory to write to")
		}
		files, err := weir.rendered(*runbooks)
		if err != nil {
			return err
		}
		return render(c, alertsIn(*dir), files)
	}
	return c
}

func (weir App) rendered(runbooks string) (map[string][]byte, error) {
	s, err := weir.businessAlerts(runbooks)
	if err != nil {
		return nil, err
	}
	return s.Files()
}

func (weir App) alertsTest() *cobra.Command {
	c := &cobra.Command{Use: "test [FILE...]", Short: "Test every alert: that it fires, stays silent, resets, and stands no data",
		Long: `Run the tests of all alerts in this process, or test files in the format of
promtool test rules that are named.`}
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := weir.businessAlerts(alerts.DefaultRunbooks)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			_, err := runRuleTests(c, args)
			return err
		}
		files, err := s.Files()
		if err != nil {
			return err
		}
		tests, remove, err := inTemporary(files)
		if err != nil {
			return err
		}
		defer remove()
		r, err := runRuleTests(c, tests)
		if err != nil {
			return err
		}
		cover := s.Coverage(r.Found, r.Empty)
		fmt.Fprintf(c.OutOrStdout(), "%d of %d alerts are tested (%.0f %%)\n", cover.Tested, cover.Alerts, 100*float64(cover.Tested)/float64(cover.Alerts))
		if cover.Tested < cover.Alerts {
			return fmt.Errorf("not tested: %s", strings.Join(cover.Missing, ", "))
		}
		return nil
	}
	return c
}

func runRuleTests(c *cobra.Command, files []string) (ruletest.Result, error) {
	var r ruletest.Result
	err := waiting(c.Context(), c.ErrOrStderr(), "testing alerts:", func(say func(string)) error {
		for i, file := range files { // a run ends with its context, and removes what it stored
			say(fmt.Sprintf("file %d of %d ", i+1, len(files)))
			one, err := ruletest.Run(c.Context(), file)
			if err != nil {
				return err
			}
			r.Add(one)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	fmt.Fprintln(c.OutOrStdout(), r)
	if len(r.Failures) > 0 {
		return r, errors.New("alerts do not behave as they should")
	}
	return r, nil
}

// inTemporary writes files below a temporary directory, and lists the tests.
func inTemporary(files map[string][]byte) (tests []string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "weir-alerts-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if _, err := alertsIn(dir).write(files); err != nil {
		remove()
		return nil, nil, err
	}
	for name := range files {
		if strings.HasPrefix(name, "tests/") {
			tests = append(tests, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	slices.Sort(tests)
	return tests, remove, nil
}

func (weir App) alertsDiff(runbooks *string) *cobra.Command {
	return &cobra.Command{Use: "diff DIR", Args: cobra.ExactArgs(1), Short: "Compare a directory that was rendered before with what the code says now",
		RunE: func(c *cobra.Command, args []string) error {
			files, err := weir.rendered(*runbooks)
			if err != nil {
				return err
			}
			differ := 0
			say := func(what, name string) { differ++; fmt.Fprintln(c.OutOrStdout(), what, name) }
			for _, name := range slices.Sorted(maps.Keys(files)) {
				have, err := os.ReadFile(filepath.Join(args[0], filepath.FromSlash(name)))
				switch {
				case errors.Is(err, fs.ErrNotExist):
					say("missing  ", name)
				case err != nil:
					return err
				case !bytes.Equal(have, files[name]):
					say("differs  ", name)
				}
			}
			old, err := alertsIn(args[0]).stale(files)
			if err != nil {
				return err
			}
			for _, name := range old {
				say("stale    ", name)
			}
			if differ > 0 {
				return fmt.Errorf("%d files are not what the code says: render again, with the same --runbooks", differ)
			}
			return nil
		}}
}

// alertsIn is a directory of rendered alerts.
func alertsIn(dir string) rendering { return rendering{dir, ".weir-alerts"} }
