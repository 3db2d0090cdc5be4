package alerts

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
)

// Files renders everything: rules/ for Prometheus, tests/ of the rules for
// promtool, alertmanager.yml, openslo/, and runbooks/. Keys are slash-separated
// paths.
func (s *Set) Files() (map[string][]byte, error) {
	out := map[string][]byte{}
	add := func(name string, b []byte, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out[name] = b
		return nil
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	for _, f := range []func(func(string, []byte, error) error) error{s.ruleFiles, s.testFiles, s.otherFiles} {
		if err := f(add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Set) ruleFiles(add func(string, []byte, error) error) error {
	for _, o := range s.SLOs {
		groups, err := o.Rules(s.Policy, s.Runbooks)
		if err != nil {
			return err
		}
		b, err := File(groups)
		if err := add(o.RuleFile(), b, err); err != nil {
			return err
		}
	}
	if len(s.Alerts) == 0 {
		return nil
	}
	b, err := File([]Group{s.causes()})
	return add(CauseFile, b, err)
}

func (s *Set) testFiles(add func(string, []byte, error) error) error {
	for _, o := range s.SLOs {
		for severity, f := range o.Tests(s.Policy) {
			b, err := f.YAML()
			if err := add("tests/"+o.ID()+"-"+severity+".yml", b, err); err != nil {
				return err
			}
		}
	}
	for _, a := range s.Alerts {
		b, err := a.Tests(s.Policy).YAML()
		if err := add("tests/"+a.Name+".yml", b, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) otherFiles(add func(string, []byte, error) error) error {
	b, err := s.Routes()
	if err := add("alertmanager.yml", b, err); err != nil {
		return err
	}
	for _, o := range s.SLOs {
		if o.SLI.weigh != nil { // OpenSLO has no word for a mean of indicators
			continue
		}
		b, err := o.OpenSLO(s.Policy)
		if err := add(path.Join("openslo", o.ID()+".yml"), b, err); err != nil {
			return err
		}
	}
	return s.runbookFiles(add)
}

var runbookLink = regexp.MustCompile(`\]\((\w+)\.md\)`)

// runbookFiles are those of all alerts, and those that they lead to.
func (s *Set) runbookFiles(add func(string, []byte, error) error) error {
	names := s.Names()
	for i := 0; i < len(names); i++ {
		b, err := s.Runbook(names[i])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := add(path.Join("runbooks", names[i]+".md"), b, err); err != nil {
			return err
		}
		for _, link := range runbookLink.FindAllSubmatch(b, -1) {
			if to := string(link[1]); !slices.Contains(names, to) {
				names = append(names, to)
			}
		}
	}
	return nil
}
