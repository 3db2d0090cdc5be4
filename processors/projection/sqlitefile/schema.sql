-- Times are nanoseconds since 1970 in UTC.
CREATE TABLE platform (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  partitions INTEGER NOT NULL,
  epoch      INTEGER NOT NULL -- raised by every writer's claim
) STRICT;

CREATE TABLE cursors (
  topic     TEXT NOT NULL,
  partition INTEGER NOT NULL,
  topic_id  BLOB NOT NULL,
  next      INTEGER NOT NULL, -- the offset to read next
  PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

-- One row per producing lane and topic-partition, and not per lane and topic:
-- this reader takes all partitions, between which a lane has no order.
CREATE TABLE seen (
  topic     TEXT NOT NULL,
  lane      TEXT NOT NULL,
  partition INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  pruned    INTEGER NOT NULL DEFAULT 0, -- the highest seq that Prune took out, where somebody asks
  PRIMARY KEY (topic, lane, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE externals (
  source TEXT NOT NULL,
  id     TEXT NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX externals_at ON externals (at);

CREATE TABLE skipped (
  topic     TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset    INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  PRIMARY KEY (topic, partition, offset)
) STRICT, WITHOUT ROWID;
