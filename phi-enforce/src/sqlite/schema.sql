-- Version 1 of an enforcement store. Amounts above 2^63 - 1 are written as that.

-- The store itself. `seq` rises with everything that happens; fences, places in queues, pools and
-- the numbers of the usage log are drawn from it. `learning` is set while nodes say what they hold,
-- `latest` the latest second by which a seat was lent.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store BLOB NOT NULL CHECK (length(store) = 16),
    restores INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    learning INTEGER NOT NULL,
    longest_lease INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT;

-- Runs of nodes, each with its newest request and the answer to it.
CREATE TABLE nodes (
    incarnation BLOB PRIMARY KEY CHECK (length(incarnation) = 16),
    name TEXT NOT NULL,
    since INTEGER NOT NULL,
    request INTEGER NOT NULL,
    answer BLOB
) STRICT, WITHOUT ROWID;

-- How much of a quota the newest known revision of a license allows; NULL is unlimited.
CREATE TABLE quotas (
    license BLOB NOT NULL,
    quota INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    amount INTEGER,
    period INTEGER NOT NULL,
    PRIMARY KEY (license, quota)
) STRICT, WITHOUT ROWID;

-- What was given out in a period: charged is granted less returned. `owed` is what the period
-- before used beyond its limit.
CREATE TABLE counters (
    license BLOB NOT NULL,
    quota INTEGER NOT NULL,
    period INTEGER NOT NULL,
    label INTEGER NOT NULL,
    granted INTEGER NOT NULL CHECK (granted >= 0),
    returned INTEGER NOT NULL CHECK (returned BETWEEN 0 AND granted),
    owed INTEGER NOT NULL CHECK (owed >= 0),
    PRIMARY KEY (license, quota, period, label)
) STRICT, WITHOUT ROWID;

-- To whom it was given.
CREATE TABLE holdings (
    incarnation BLOB NOT NULL,
    license BLOB NOT NULL,
    quota INTEGER NOT NULL,
    period INTEGER NOT NULL,
    label INTEGER NOT NULL,
    units INTEGER NOT NULL CHECK (units >= 0),
    PRIMARY KEY (incarnation, license, quota, period, label)
) STRICT, WITHOUT ROWID;

-- Concurrency limits, and how many holders have a seat.
CREATE TABLE pools (
    pool INTEGER PRIMARY KEY,
    license BLOB NOT NULL,
    code INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    amount INTEGER,
    taken INTEGER NOT NULL CHECK (taken >= 0),
    UNIQUE (license, code)
) STRICT;

-- How many holders of a group have a seat; GROUP is a word of SQL's.
CREATE TABLE teams (
    pool INTEGER NOT NULL REFERENCES pools,
    name TEXT NOT NULL,
    taken INTEGER NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (pool, name)
) STRICT, WITHOUT ROWID;

-- Who is on a seat (place 0) or in the queue (place 1), of which group if of any. `heard` is `seq`
-- at the last sign of life.
CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    pool INTEGER NOT NULL REFERENCES pools,
    place INTEGER NOT NULL CHECK (place IN (0, 1)),
    holder TEXT NOT NULL,
    session TEXT NOT NULL,
    incarnation BLOB NOT NULL,
    heard INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    team TEXT NOT NULL,
    UNIQUE (pool, holder, session)
) STRICT;
CREATE INDEX places_by_silence ON places (pool, heard);
CREATE INDEX places_in_queue ON places (pool, place, id);

-- Seats that machines took along: each counts as taken until long after its end. Times are in
-- seconds.
CREATE TABLE loans (
    id INTEGER PRIMARY KEY,
    pool INTEGER NOT NULL REFERENCES pools,
    holder TEXT NOT NULL,
    session TEXT NOT NULL,
    team TEXT NOT NULL,
    machine BLOB NOT NULL,
    since INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    UNIQUE (pool, holder, session, machine)
) STRICT;
CREATE INDEX loans_by_end ON loans (pool, ends);

-- The most seats that were taken at once on a day, and how often one was.
CREATE TABLE seat_days (
    pool INTEGER NOT NULL REFERENCES pools,
    day INTEGER NOT NULL,
    peak INTEGER NOT NULL,
    acquired INTEGER NOT NULL,
    PRIMARY KEY (pool, day)
) STRICT, WITHOUT ROWID;

-- Everything that was given out and taken back, in the transaction that did it, and how much there
-- was of what. A loan has its end in `label`. Terms of a quota have the license's revision in
-- `label`, and in `units` the limit, or -1 if there is none.
CREATE TABLE usage (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    incarnation BLOB NOT NULL,
    request INTEGER NOT NULL,
    act INTEGER NOT NULL,
    license BLOB NOT NULL,
    code INTEGER NOT NULL,
    period INTEGER,
    label INTEGER,
    units INTEGER NOT NULL,
    fence INTEGER,
    holder TEXT,
    session TEXT
) STRICT;
CREATE TRIGGER usage_keep_update BEFORE UPDATE ON usage
BEGIN SELECT RAISE(ABORT, 'the usage log is append-only'); END;
CREATE TRIGGER usage_keep_delete BEFORE DELETE ON usage
BEGIN SELECT RAISE(ABORT, 'the usage log is append-only'); END;
