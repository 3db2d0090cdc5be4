package business

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Below /v1, what begins so is the platform's: what it tells, and takes, of any business.
var platformPaths = []string{"analytics", "dead-letters", "events", "faults", "lanes", "openapi.json", "reconcile", "sagas", "skipped", "units"}

// The live page shows each view at its name; these addresses have another meaning.
var platformPages = []string{"alerts", "analytics", "console", "dead-letters", "faults", "metrics", "prometheus", "readyz", "runbooks", "sagas", "slos", "traces",
	"v1", "views"}

// ReservedPath tells whether no command and no view can have a path.
func ReservedPath(path string) bool {
	below, ok := strings.CutPrefix(path, "/v1/")
	first, _, _ := strings.Cut(below, "/")
	return !ok || slices.Contains(platformPaths, first)
}

// checkPath reports a path of the platform.
func checkPath(path string, bad func(string, ...any)) {
	if pathRule.MatchString(path) && ReservedPath(path) {
		bad("its path %q is the platform's: below /v1, take none of %s", path, strings.Join(platformPaths, ", "))
	}
}

// ReservedPage tells whether no view can have a name.
func ReservedPage(name string) bool { return slices.Contains(platformPages, name) }

// DocumentPath is where one document is.
func (v *View) DocumentPath() string { return v.Path + "/{" + v.One + "}" }

// HistoryPath is where a document's events are.
func (v *View) HistoryPath() string { return v.DocumentPath() + "/history" }

// route is a path with what is there.
type route struct{ path, what string }

func (b *Business) routes() (out []route) {
	for _, c := range b.Commands() {
		if pathRule.MatchString(c.Path) { // what others are is told by checkCommands, and checkViews
			out = append(out, route{c.Path, fmt.Sprintf("command %q (%s %s)", c.Name, c.Verb(), c.Path)})
		}
	}
	for _, v := range b.Views() {
		if !pathRule.MatchString(v.Path) || !viewName.MatchString(v.One) {
			continue
		}
		paths := []string{v.Path, v.DocumentPath()}
		if v.History {
			paths = append(paths, v.HistoryPath())
		}
		for _, p := range paths {
			out = append(out, route{p, fmt.Sprintf("view %q (GET %s)", v.Name, p)})
		}
	}
	return out
}

// checkRoutes has the router itself say what it could not tell apart.
func (b *Business) checkRoutes() (errs []error) {
	var served []route
	for _, r := range b.routes() {
		if err := router(r.path); err != nil {
			errs = append(errs, fmt.Errorf("%s has a path that cannot be served: %w", r.what, err))
			continue
		}
		for _, o := range served {
			if o.path != r.path && router(o.path, r.path) != nil {
				errs = append(errs, fmt.Errorf("%s and %s fit the same addresses: %s", o.what, r.what, cure(o.path, r.path)))
			}
		}
		served = append(served, r)
	}
	return errs
}

// cure is what to do about two paths that cannot be told apart.
func cure(a, b string) string {
	shape := func(path string) string { return pathParam.ReplaceAllString(path, "{}") }
	if shape(a) == shape(b) {
		return "call what stands in braces alike in both, or take another path"
	}
	return "take another path for one of them"
}

// router serves paths together, or tells why that cannot be.
func router(paths ...string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux := http.NewServeMux()
	for _, p := range paths {
		mux.Handle(p, http.NotFoundHandler())
	}
	return nil
}
