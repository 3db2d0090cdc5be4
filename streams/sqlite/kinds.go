package sqlite

import "database/sql/driver"

// kind is what many rows have in common, stored once. A decider alone is a kind
// with no type.
type kind struct {
	decider, typ string
	typeVersion  int
	topic        string
}

// kindSet is what is known of the table of kinds. It is replaced, never changed,
// so readers need no lock. Rows of the table are never removed.
type kindSet struct {
	ids   map[kind]int64
	kinds map[int64]kind
}

func newKindSet() *kindSet {
	return &kindSet{ids: map[kind]int64{}, kinds: map[int64]kind{}}
}

// kindID is the number of a kind, made if it is new. It counts for others only
// after the commit: rolled back, the number may become another's.
func (w *writer) kindID(k kind) (int64, error) {
	if id, ok := w.s.kinds.Load().ids[k]; ok {
		return id, nil
	}
	if id, ok := w.fresh[k]; ok {
		return id, nil
	}
	args := []driver.Value{k.decider, k.typ, int64(k.typeVersion), k.topic}
	if _, err := w.exec("INSERT INTO kinds(decider,type,type_version,topic) VALUES(?,?,?,?) ON CONFLICT DO NOTHING", args...); err != nil {
		return 0, err
	}
	err := w.query("SELECT id FROM kinds WHERE decider=? AND type=? AND type_version=? AND topic=?", args,
		func(r []driver.Value) error {
			w.fresh[k] = num(r[0])
			return nil
		})
	return w.fresh[k], err
}

func (w *writer) deciderID(name string) (int64, error) { return w.kindID(kind{decider: name}) }

func (w *writer) publishKinds() {
	if len(w.fresh) == 0 {
		return
	}
	w.s.addKinds(w.fresh)
	clear(w.fresh)
}

// addKinds publishes committed kinds. Two that do so at once may lose one's
// addition, which only costs another look into the table.
func (s *Store) addKinds(more map[kind]int64) {
	n := newKindSet()
	add := func(m map[kind]int64) {
		for k, id := range m {
			n.ids[k], n.kinds[id] = id, k
		}
	}
	add(s.kinds.Load().ids)
	add(more)
	s.kinds.Store(n)
}

// loadKinds reads the table again: another process may have added to it.
func (s *Store) loadKinds(r *conn) error {
	all := map[kind]int64{}
	err := r.query("SELECT id,decider,type,type_version,topic FROM kinds", nil, func(v []driver.Value) error {
		all[kind{text(v[1]), text(v[2]), int(num(v[3])), text(v[4])}] = num(v[0])
		return nil
	})
	if err == nil {
		s.addKinds(all)
	}
	return err
}

// findDecider is a decider's number; ok is false if it never wrote.
func (s *Store) findDecider(r *conn, name string) (id int64, ok bool, err error) {
	k := kind{decider: name}
	if id, ok = s.kinds.Load().ids[k]; ok {
		return id, true, nil
	}
	err = s.loadKinds(r)
	id, ok = s.kinds.Load().ids[k]
	return id, ok, err
}

// findKind is what a number stands for.
func (s *Store) findKind(r *conn, id int64) (kind, error) {
	if k, ok := s.kinds.Load().kinds[id]; ok {
		return k, nil
	}
	err := s.loadKinds(r)
	return s.kinds.Load().kinds[id], err
}
