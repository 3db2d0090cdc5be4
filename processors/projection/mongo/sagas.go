package mongo

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
)

// saga is the document of one run of a declared saga.
type saga struct {
	ID          string        `bson:"_id"` // path of name and correlation
	Rev         bson.ObjectID `bson:"rev"`
	Name        string        `bson:"saga"`
	Correlation string        `bson:"correlation"`
	Subject     string        `bson:"subject"`
	About       string        `bson:"about"` // path of name and subject
	Started     int64         `bson:"started"`
	Due         int64         `bson:"due"`
	Ended       int64         `bson:"ended"` // 0 while it runs
	EndedBy     string        `bson:"ended_by"`
}

func (x *saga) key() (*string, *bson.ObjectID) { return &x.ID, &x.Rev }

// sagaEnd is an event that ends sagas: the one of its correlation, or, where
// another saga brought it about (a withdrawal ends what was begun), those about
// its subject. It is kept, as either may be read before the start.
type sagaEnd struct {
	ID    string `bson:"_id"`
	Of    string `bson:"of"`
	About string `bson:"about"`
	Type  string `bson:"type"`
	Time  int64  `bson:"time"`
}

// turns are what a batch says about sagas.
type turns struct {
	starts map[string][]saga // by id
	ends   []sagaEnd
}

func turnsOf(b *projection.Batch) turns {
	t := turns{starts: map[string][]saga{}}
	for i := range b.Events {
		e := &b.Events[i]
		at, subject := projection.Nanos(e.Time), e.Subject()
		for _, s := range e.Starts {
			id := path(s.Name, e.Correlation)
			t.starts[id] = append(t.starts[id], saga{Name: s.Name, Correlation: e.Correlation, Subject: subject, About: path(s.Name, subject),
				Started: at, Due: projection.Nanos(s.Due)})
		}
		for _, name := range e.Ends {
			t.ends = append(t.ends, sagaEnd{path(name, eventID(e)), path(name, e.Correlation), path(name, subject), e.Type, at})
		}
	}
	return t
}

// writeSagas keeps the ends before it looks for those that a start has missed,
// as a batch may hold both.
func (s *Store) writeSagas(ctx context.Context, b *projection.Batch) error {
	t := turnsOf(b)
	var docs []any
	for _, e := range t.ends {
		docs = append(docs, e)
	}
	if err := insert(ctx, s.db.Collection("saga_ends"), docs); err != nil {
		return err
	}
	ids, err := s.touched(ctx, &t)
	if err != nil {
		return err
	}
	ends, err := s.missed(ctx, &t)
	if err != nil {
		return err
	}
	ends = append(ends, t.ends...)
	of, about := map[string][]sagaEnd{}, map[string][]sagaEnd{}
	for _, e := range ends {
		of[e.Of] = append(of[e.Of], e)
		about[e.About] = append(about[e.About], e)
	}
	return swap(ctx, s, s.db.Collection("sagas"), &s.sagas, ids, func(x *saga) bool {
		changed := x.begin(t.starts[x.ID])
		if x.Name == "" {
			return false // an end whose start is not read yet
		}
		for _, e := range slices.Concat(of[x.ID], about[x.About]) {
			changed = x.end(&e) || changed
		}
		return changed
	})
}

// touched are the ids of the sagas that a batch may begin or end.
func (s *Store) touched(ctx context.Context, t *turns) ([]string, error) {
	ids, abouts := map[string]bool{}, map[string]bool{}
	for id := range t.starts {
		ids[id] = true
	}
	for _, e := range t.ends {
		ids[e.Of], abouts[e.About] = true, true
	}
	if len(abouts) > 0 {
		found, err := findEach[saga](ctx, s.db.Collection("sagas"), "about", slices.Sorted(maps.Keys(abouts)), options.Find().SetProjection(ascending("_id")))
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			ids[x.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// missed are the stored ends of what a batch begins.
func (s *Store) missed(ctx context.Context, t *turns) ([]sagaEnd, error) {
	if len(t.starts) == 0 {
		return nil, nil
	}
	var ids, abouts []string
	for id, starts := range t.starts {
		ids = append(ids, id)
		for _, x := range starts {
			abouts = append(abouts, x.About)
		}
	}
	of, err := findEach[sagaEnd](ctx, s.db.Collection("saga_ends"), "of", ids)
	if err != nil {
		return nil, err
	}
	about, err := findEach[sagaEnd](ctx, s.db.Collection("saga_ends"), "about", abouts)
	return append(of, about...), err // an end may be in both, and counts once all the same
}

// begin takes the earliest start. Another one than before has other ends.
func (x *saga) begin(starts []saga) (changed bool) {
	for _, s := range starts {
		if x.Name == "" || cmp.Or(cmp.Compare(s.Started, x.Started), cmp.Compare(s.Subject, x.Subject)) < 0 {
			s.ID, s.Rev = x.ID, x.Rev
			*x, changed = s, true
		}
	}
	return changed
}

// end takes the earliest end.
func (x *saga) end(e *sagaEnd) bool {
	if e.Of != x.ID && e.Time < x.Started {
		return false
	}
	if x.Ended > 0 && cmp.Or(cmp.Compare(e.Time, x.Ended), cmp.Compare(e.Type, x.EndedBy)) >= 0 {
		return false
	}
	x.Ended, x.EndedBy = e.Time, e.Type
	return true
}
