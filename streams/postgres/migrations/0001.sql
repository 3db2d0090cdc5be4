-- Names that are declared (deciders, types, topics, effects) are text. All else
-- that reads like text is bytea: keys, ids and reasons come from outside, and may
-- hold NUL bytes and invalid UTF-8, which text refuses. Times are nanoseconds
-- since 1970, 0 for none: timestamptz keeps microseconds.

CREATE TABLE store (
	one         boolean PRIMARY KEY DEFAULT true CHECK (one),
	incarnation text    NOT NULL,
	partitions  int     NOT NULL
);

-- A commit updates its lane's row: a page is left room for many versions of it.
CREATE TABLE cursors (
	lane      int    PRIMARY KEY,
	epoch     bigint NOT NULL,
	rev       bigint NOT NULL,
	last_seq  bigint NOT NULL,
	published bigint NOT NULL,
	maps      bytea  NOT NULL
) WITH (fillfactor = 10);

-- The link of an event is the sequence of the stream's event before it, and a
-- snapshot's head that of its last. They replace an index on the stream's events:
-- one makes commits a third slower (BenchmarkSchema), and more as it grows out of
-- memory, while links are written where the rows are.
CREATE TABLE events (
	lane         int    NOT NULL,
	seq          bigint NOT NULL,
	decider      text   NOT NULL COLLATE "C",
	stream       bytea  NOT NULL,
	version      bigint NOT NULL,
	link         bigint NOT NULL,
	type         text   NOT NULL COLLATE "C",
	type_version int    NOT NULL,
	topic        text   NOT NULL COLLATE "C",
	partition    int    NOT NULL,
	key          bytea  NOT NULL,
	record       bytea  NOT NULL,
	PRIMARY KEY (lane, seq)
);

-- Half of a page is left to the versions to come: a changed row that finds room
-- beside its older self touches no index. head_before is the head that the last
-- change replaced, which the commit asks for.
CREATE TABLE snapshots (
	lane          int    NOT NULL,
	decider       text   NOT NULL COLLATE "C",
	key           bytea  NOT NULL,
	version       bigint NOT NULL,
	head          bigint NOT NULL,
	head_before   bigint NOT NULL,
	state_version int    NOT NULL,
	state         bytea  NOT NULL,
	PRIMARY KEY (lane, decider, key)
) WITH (fillfactor = 50);

CREATE TABLE timers (
	lane        int    NOT NULL,
	decider     text   NOT NULL COLLATE "C",
	key         bytea  NOT NULL,
	name        bytea  NOT NULL,
	id          bytea  NOT NULL,
	due         bigint NOT NULL,
	body        bytea  NOT NULL,
	correlation bytea  NOT NULL,
	causation   bytea  NOT NULL,
	traceparent bytea  NOT NULL,
	PRIMARY KEY (lane, decider, key, name)
);
-- Not lane itself: on an empty table the planner would find a timer by its lane.
CREATE INDEX timers_due ON timers ((lane+0), due);

CREATE TABLE effects (
	lane        int    NOT NULL,
	seq         bigint NOT NULL,
	decider     text   NOT NULL COLLATE "C",
	key         bytea  NOT NULL,
	id          bytea  NOT NULL,
	effect      text   NOT NULL COLLATE "C",
	idempotency bytea  NOT NULL,
	body        bytea  NOT NULL,
	correlation bytea  NOT NULL,
	causation   bytea  NOT NULL,
	traceparent bytea  NOT NULL,
	PRIMARY KEY (lane, seq)
);

CREATE TABLE parked (
	lane         int    NOT NULL,
	seq          bigint NOT NULL,
	decider      text   NOT NULL COLLATE "C",
	key          bytea  NOT NULL,
	kind         text   NOT NULL,
	id           bytea  NOT NULL,
	name         bytea  NOT NULL,
	type_version int    NOT NULL,
	body         bytea  NOT NULL,
	correlation  bytea  NOT NULL,
	causation    bytea  NOT NULL,
	traceparent  bytea  NOT NULL,
	origin       bytea  NOT NULL,
	at           bigint NOT NULL,
	reason       bytea  NOT NULL,
	stack        bytea  NOT NULL,
	PRIMARY KEY (lane, seq)
);

CREATE TABLE replies (
	lane   int    NOT NULL,
	id     bytea  NOT NULL,
	digest bytea  NOT NULL,
	status text   NOT NULL,
	body   bytea  NOT NULL,
	token  bytea  NOT NULL,
	at     bigint NOT NULL,
	PRIMARY KEY (lane, id)
);
CREATE INDEX replies_at ON replies (at);

CREATE TABLE externals (
	lane   int    NOT NULL,
	source bytea  NOT NULL,
	id     bytea  NOT NULL,
	at     bigint NOT NULL,
	PRIMARY KEY (lane, source, id)
);
CREATE INDEX externals_at ON externals (at);

CREATE TABLE inputs (
	lane    int    NOT NULL,
	rev     bigint NOT NULL,
	at      bigint NOT NULL,
	entries bytea  NOT NULL,
	PRIMARY KEY (lane, rev)
);
