package sqlite

import (
	"crypto/rand"
	"database/sql/driver"
	"fmt"
	"strings"
)

// schemaVersion is kept in the file's user_version.
const schemaVersion = 2

// applicationID marks the file as ours ("Weir").
const applicationID = 0x57656972

// laneBits is where the lane begins in the row ids of the tables that a lane
// appends to: id = lane<<40 | sequence. A lane's rows are then one range of the
// table itself, in order, with no second index.
const laneBits = 40

// schema: rows keep what is common to many of them (decider, type, topic) as one
// number, see kindSet. The link of an event is the sequence of the stream's event
// before it and a snapshot's head that of its last: they replace an index on
// (stream, version), which would cost more than the events themselves.
const schema = `
CREATE TABLE store(id INTEGER PRIMARY KEY CHECK(id=1), incarnation TEXT NOT NULL, partitions INT NOT NULL);
CREATE TABLE cursors(lane INTEGER PRIMARY KEY, epoch INT NOT NULL, rev INT NOT NULL,
	last_seq INT NOT NULL, published INT NOT NULL, maps BLOB);
CREATE TABLE kinds(id INTEGER PRIMARY KEY, decider TEXT NOT NULL, type TEXT NOT NULL,
	type_version INT NOT NULL, topic TEXT NOT NULL, UNIQUE(decider,type,type_version,topic));
CREATE TABLE events(id INTEGER PRIMARY KEY, kind INT NOT NULL, version INT NOT NULL, link INT NOT NULL,
	partition INT NOT NULL, key TEXT NOT NULL, stream TEXT, record BLOB);
CREATE TABLE snapshots(id INTEGER PRIMARY KEY, version INT NOT NULL, state_version INT NOT NULL, head INT NOT NULL,
	lane INT NOT NULL, decider INT NOT NULL, key TEXT NOT NULL, state BLOB, UNIQUE(lane,decider,key));
CREATE TABLE timers(lane INT, decider INT, key TEXT, name TEXT, id TEXT NOT NULL, due INT NOT NULL, body BLOB,
	correlation TEXT NOT NULL, causation TEXT NOT NULL, traceparent TEXT NOT NULL,
	PRIMARY KEY(lane,decider,key,name)) WITHOUT ROWID;
CREATE INDEX timers_due ON timers(lane,due);
CREATE TABLE effects(id INTEGER PRIMARY KEY, decider INT NOT NULL, key TEXT NOT NULL, intent TEXT NOT NULL,
	effect TEXT NOT NULL, idempotency TEXT NOT NULL, body BLOB,
	correlation TEXT NOT NULL, causation TEXT NOT NULL, traceparent TEXT NOT NULL);
CREATE TABLE parked(id INTEGER PRIMARY KEY, decider INT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
	input TEXT NOT NULL, name TEXT NOT NULL, type_version INT NOT NULL, body BLOB,
	correlation TEXT NOT NULL, causation TEXT NOT NULL, traceparent TEXT NOT NULL,
	origin TEXT NOT NULL, at INT NOT NULL, reason TEXT NOT NULL, stack TEXT NOT NULL, source TEXT NOT NULL DEFAULT '');
CREATE TABLE replies(lane INT, id TEXT, digest TEXT NOT NULL, status TEXT NOT NULL, body BLOB,
	token TEXT NOT NULL, at INT NOT NULL, PRIMARY KEY(lane,id)) WITHOUT ROWID;
CREATE INDEX replies_at ON replies(at);
CREATE TABLE externals(lane INT, source TEXT, id TEXT, at INT NOT NULL, digest TEXT NOT NULL DEFAULT '', PRIMARY KEY(lane,source,id)) WITHOUT ROWID;
CREATE INDEX externals_at ON externals(at);
CREATE TABLE inputs(id INTEGER PRIMARY KEY, at INT NOT NULL, entries BLOB)`

// prepareFile makes the tables in an empty file, mints the incarnation, and
// refuses a file that is another program's or a newer Weir's.
func (w *writer) prepareFile() error {
	return w.transact(func() error {
		version, err := w.pragma("user_version")
		if err != nil {
			return err
		}
		switch {
		case version == schemaVersion:
			return w.checkOwner()
		case version == 1:
			return w.upgrade()
		case version > schemaVersion:
			return fmt.Errorf("the file has schema %d and this program knows %d: run the newer program that wrote it", version, schemaVersion)
		default:
			return w.createTables()
		}
	})
}

// upgrade brings a file of schema 1 up to date.
func (w *writer) upgrade() error {
	if err := w.checkOwner(); err != nil {
		return err
	}
	for _, q := range []string{"ALTER TABLE parked ADD COLUMN source TEXT NOT NULL DEFAULT ''", "ALTER TABLE externals ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
		fmt.Sprintf("PRAGMA user_version=%d", schemaVersion)} {
		if _, err := w.exec(q); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) checkOwner() error {
	if id, err := w.pragma("application_id"); err != nil || id == applicationID {
		return err
	}
	return fmt.Errorf("the file is another program's database: give the store a path of its own")
}

func (w *writer) createTables() error {
	tables := int64(0)
	err := w.query("SELECT count(*) FROM sqlite_schema", nil, func(r []driver.Value) error {
		tables = num(r[0])
		return nil
	})
	if err != nil {
		return err
	}
	if tables > 0 {
		return fmt.Errorf("the file is another program's database: give the store a path of its own")
	}
	for _, q := range strings.Split(schema, ";") {
		if _, err := w.exec(q); err != nil {
			return err
		}
	}
	if _, err := w.exec("INSERT INTO store VALUES(1,?,0)", rand.Text()); err != nil {
		return err
	}
	if _, err := w.exec(fmt.Sprintf("PRAGMA application_id=%d", applicationID)); err != nil {
		return err
	}
	_, err = w.exec(fmt.Sprintf("PRAGMA user_version=%d", schemaVersion))
	return err
}

func (c *conn) pragma(name string) (n int64, err error) {
	err = c.query("PRAGMA "+name, nil, func(r []driver.Value) error {
		n = num(r[0])
		return nil
	})
	return n, err
}
