// Package ruletest runs promtool's unit tests of Prometheus rules in this
// process, so that whoever has only Go can test alerts. The format and its
// meaning are those of "promtool test rules"
// (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/),
// but what can only be a mistake is an error: a pattern of rule_files that finds
// nothing, an alertname that no rule has, an input series that is there twice.
// A query may hold more than promtool's 10000 samples. And groups that
// group_eval_order does not name come in the order of their files, where promtool
// takes any order, another in each run: name them if one reads what another writes.
//
// It is fast because a rule is evaluated for all times at once where its
// expression allows that (fast.go): a test of four days of minutes with 40 rules
// takes 3 seconds, and 150 step by step.
package ruletest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Result is what came of the tests.
type Result struct {
	Tests    int // that ran
	Failures []Failure
	// Found are expressions that had samples when a test looked, Empty those that
	// had none.
	Found, Empty map[string]bool
	Fired        []Fired // of each rule and test the first
}

// Fired is an alert that did, and when since the start of the test.
type Fired struct {
	Labels map[string]string
	At     time.Duration
}

// Add takes over what came of other tests.
func (r *Result) Add(o Result) {
	r.Tests += o.Tests
	r.Failures = append(r.Failures, o.Failures...)
	r.Fired = append(r.Fired, o.Fired...)
	if r.Found == nil {
		r.Found, r.Empty = map[string]bool{}, map[string]bool{}
	}
	maps.Copy(r.Found, o.Found)
	maps.Copy(r.Empty, o.Empty)
}

// Failure is an expectation that was not met, or a rule or an expression that
// could not be evaluated.
type Failure struct {
	Test     string        // name of the test
	At       time.Duration // since the start of the test
	Subject  string        // what was looked at: "alert X", "expression Y", "rule Z"
	Expected []string      // alerts or samples, none if there should be none
	Got      []string
	Err      error // why there is nothing to compare
}

func (f Failure) String() string {
	head := fmt.Sprintf("test %q at %s, %s", f.Test, span(f.At), f.Subject)
	if f.Err != nil {
		return head + ": " + f.Err.Error()
	}
	return head + list("\n  expected", f.Expected) + list("\n  got     ", f.Got)
}

func list(what string, entries []string) string {
	if len(entries) == 0 {
		return what + " nothing"
	}
	return what + " " + strings.Join(entries, "\n           ")
}

// String says what failed, or how many tests passed.
func (r Result) String() string {
	if len(r.Failures) == 0 {
		return fmt.Sprintf("%d tests passed", r.Tests)
	}
	lines := []string{fmt.Sprintf("%d expectations of %d tests not met:", len(r.Failures), r.Tests)}
	for _, f := range r.Failures {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// Run runs files of tests with the rule files that they name. The error is of
// files that cannot be read or make no sense, or that of ctx if it ends meanwhile;
// what fails is in the Result.
func Run(ctx context.Context, files ...string) (Result, error) {
	var out Result
	for _, file := range files {
		r, err := runFile(ctx, file)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if err != nil {
			return out, fmt.Errorf("ruletest: %s: %w", file, err)
		}
		out.Add(r)
	}
	return out, nil
}

func runFile(ctx context.Context, file string) (Result, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Result{}, err
	}
	tests, err := parseTests(data)
	if err != nil {
		return Result{}, err
	}
	tests.ctx = ctx
	rules, err := readRules(filepath.Dir(file), tests.RuleFiles)
	if err != nil {
		return Result{}, err
	}
	return tests.run(rules)
}

// readRules reads the files that patterns find, relative to a directory.
func readRules(dir string, patterns []string) ([]ruleFile, error) {
	var out []ruleFile
	for _, p := range patterns {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("rule_files: %s: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("rule_files: there is no file %s", p)
		}
		for _, name := range found {
			if slices.ContainsFunc(out, func(f ruleFile) bool { return f.name == name }) {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("rule_files: %w", err)
			}
			out = append(out, ruleFile{name, data})
		}
	}
	return out, nil
}

// RunTest runs tests with rules that are no files; rule_files is not read.
func RunTest(rules [][]byte, tests []byte) (Result, error) {
	parsed, err := parseTests(tests)
	if err != nil {
		return Result{}, fmt.Errorf("ruletest: %w", err)
	}
	var files []ruleFile
	for i, data := range rules {
		files = append(files, ruleFile{fmt.Sprint(i + 1), data})
	}
	r, err := parsed.run(files)
	if err != nil {
		return r, fmt.Errorf("ruletest: %w", err)
	}
	return r, nil
}
