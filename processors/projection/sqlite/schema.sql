-- Times are nanoseconds since 1970 in UTC; 0 or NULL where there is none. What
-- follows from the declared views is in schema.go: their tables, and a column of
-- history for each kind of key whose history can be asked for. How far the log is
-- read is in the tables of sqlitefile.
CREATE TABLE declared (
  views TEXT NOT NULL -- the fingerprint of the views that this file is made for
) STRICT;

CREATE TABLE history (
  n           INTEGER PRIMARY KEY,
  id          TEXT NOT NULL,
  type        TEXT NOT NULL,
  version     INTEGER NOT NULL,
  source      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  key         TEXT NOT NULL,
  correlation TEXT NOT NULL,
  causation   TEXT NOT NULL,
  time        INTEGER NOT NULL,
  lane        TEXT NOT NULL,
  seq         INTEGER NOT NULL,
  topic       TEXT NOT NULL,
  partition   INTEGER NOT NULL,
  offset      INTEGER NOT NULL,
  traceparent TEXT NOT NULL,
  data        BLOB NOT NULL  -- JSON, without what is personal
) STRICT;
CREATE INDEX history_correlation ON history (correlation, time);
CREATE INDEX history_lane ON history (topic, lane, seq) WHERE lane <> '';
CREATE INDEX history_time ON history (time);

CREATE TABLE correlations (
  correlation TEXT PRIMARY KEY,
  events      INTEGER NOT NULL,
  last        TEXT NOT NULL, -- the type of the latest event
  last_at     INTEGER NOT NULL,
  last_lane   TEXT NOT NULL,
  last_seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sagas (
  saga        TEXT NOT NULL,
  correlation TEXT NOT NULL,
  subject     TEXT NOT NULL, -- kind/key of the event that started it
  started     INTEGER NOT NULL,
  due         INTEGER NOT NULL,
  ended       INTEGER,
  ended_by    TEXT,
  PRIMARY KEY (saga, correlation)
) STRICT, WITHOUT ROWID;
CREATE INDEX sagas_correlation ON sagas (correlation);
CREATE INDEX sagas_subject ON sagas (saga, subject);
CREATE INDEX sagas_started ON sagas (started, saga, correlation);
CREATE INDEX sagas_running ON sagas (started, saga, correlation) WHERE ended IS NULL;

-- Ends are kept apart from starts: either may be read first.
CREATE TABLE saga_ends (
  saga        TEXT NOT NULL,
  correlation TEXT NOT NULL,
  subject     TEXT NOT NULL,
  type        TEXT NOT NULL,
  time        INTEGER NOT NULL,
  PRIMARY KEY (saga, correlation, subject, type, time)
) STRICT, WITHOUT ROWID;
CREATE INDEX saga_ends_subject ON saga_ends (saga, subject);
CREATE INDEX saga_ends_time ON saga_ends (time);
