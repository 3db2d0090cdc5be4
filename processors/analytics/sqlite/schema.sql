-- How far the log is read is in the tables of sqlitefile. Those of events, of what they
-- say of documents and of sagas follow from the business: see tables.go.
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY,
  writer TEXT NOT NULL,
  at     INTEGER NOT NULL, -- when it was written, in nanoseconds since 1970
  until  INTEGER NOT NULL, -- the latest time of its events
  pruned INTEGER NOT NULL DEFAULT 0,
  ranges TEXT NOT NULL,    -- JSON: analytics.Range of each partition
  tables TEXT NOT NULL     -- JSON: analytics.Sum by table
) STRICT;
CREATE INDEX blocks_until ON blocks (until) WHERE pruned = 0;

CREATE TABLE hours (
  topic    TEXT NOT NULL,
  type     TEXT NOT NULL,
  hour     INTEGER NOT NULL, -- its beginning, in seconds since 1970
  rows     INTEGER NOT NULL,
  checksum INTEGER NOT NULL, -- the sum of the rows' checksums, as a number with a sign
  PRIMARY KEY (topic, type, hour)
) STRICT, WITHOUT ROWID;

-- Every column that there is of the declared tables, and what it holds.
CREATE TABLE columns (
  table_name TEXT NOT NULL,
  name       TEXT NOT NULL,
  kind       TEXT NOT NULL,
  PRIMARY KEY (table_name, name)
) STRICT, WITHOUT ROWID;

-- What was found to be otherwise than it was written.
CREATE TABLE differences (
  key        TEXT PRIMARY KEY,
  found      INTEGER NOT NULL, -- in nanoseconds since 1970
  difference TEXT NOT NULL     -- JSON: analytics.Difference
) STRICT, WITHOUT ROWID;
