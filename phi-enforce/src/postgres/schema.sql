-- Version 1 of an enforcement store in PostgreSQL. Amounts above 2^63 - 1 are written as that, and
-- text is compared byte by byte.

-- The store itself, in one row that every transaction locks first: writers take turns, numbers have
-- no gaps that are filled later, and nothing is decided on what another is about to change. `seq`
-- rises with everything that happens; fences, places in queues, pools and the numbers of the usage
-- log are drawn from it. `system` and `timeline` are the server's, when the history was last looked
-- at. `learning` is set while nodes say what they hold, `latest` the latest second by which a seat
-- was lent.
CREATE TABLE phi_enforce (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    store BYTEA NOT NULL CHECK (length(store) = 16),
    system BIGINT NOT NULL,
    timeline BIGINT NOT NULL,
    restores BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    learning BIGINT NOT NULL,
    longest_lease BIGINT NOT NULL,
    latest BIGINT NOT NULL
) WITH (fillfactor = 10);

-- Runs of nodes, each with its newest request and the answer to it, and when it was heard of.
CREATE TABLE nodes (
    incarnation BYTEA PRIMARY KEY CHECK (length(incarnation) = 16),
    name TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    request BIGINT NOT NULL,
    answer BYTEA,
    heard BIGINT NOT NULL
);
CREATE INDEX nodes_by_silence ON nodes (heard);

-- How much of a quota the newest known revision of a license allows; NULL is unlimited.
CREATE TABLE quotas (
    license BYTEA NOT NULL,
    quota BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    amount BIGINT,
    period BIGINT NOT NULL,
    PRIMARY KEY (license, quota)
);

-- What was given out in a period: charged is granted less returned. `owed` is what the period
-- before used beyond its limit.
CREATE TABLE counters (
    license BYTEA NOT NULL,
    quota BIGINT NOT NULL,
    period BIGINT NOT NULL,
    label BIGINT NOT NULL,
    granted BIGINT NOT NULL CHECK (granted >= 0),
    returned BIGINT NOT NULL CHECK (returned BETWEEN 0 AND granted),
    owed BIGINT NOT NULL CHECK (owed >= 0),
    PRIMARY KEY (license, quota, period, label)
) WITH (fillfactor = 50);

-- To whom it was given.
CREATE TABLE holdings (
    incarnation BYTEA NOT NULL,
    license BYTEA NOT NULL,
    quota BIGINT NOT NULL,
    period BIGINT NOT NULL,
    label BIGINT NOT NULL,
    units BIGINT NOT NULL CHECK (units >= 0),
    PRIMARY KEY (incarnation, license, quota, period, label)
) WITH (fillfactor = 50);

-- Concurrency limits, and how many holders have a seat.
CREATE TABLE pools (
    pool BIGINT PRIMARY KEY,
    license BYTEA NOT NULL,
    code BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    amount BIGINT,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    UNIQUE (license, code)
) WITH (fillfactor = 50);

-- How many holders of a group have a seat; GROUP is a word of SQL's.
CREATE TABLE teams (
    pool BIGINT NOT NULL REFERENCES pools,
    name TEXT COLLATE "C" NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (pool, name)
) WITH (fillfactor = 50);

-- Who is on a seat (place 0) or in the queue (place 1), of which group if of any. `heard` is `seq`
-- at the last sign of life.
CREATE TABLE places (
    id BIGINT PRIMARY KEY,
    pool BIGINT NOT NULL REFERENCES pools,
    place BIGINT NOT NULL CHECK (place IN (0, 1)),
    holder TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    incarnation BYTEA NOT NULL,
    heard BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    team TEXT COLLATE "C" NOT NULL,
    UNIQUE (pool, holder, session)
);
CREATE INDEX places_by_silence ON places (pool, heard);
CREATE INDEX places_in_queue ON places (pool, place, id);

-- Seats that machines took along: each counts as taken until long after its end. Times are in
-- seconds.
CREATE TABLE loans (
    id BIGINT PRIMARY KEY,
    pool BIGINT NOT NULL REFERENCES pools,
    holder TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    team TEXT COLLATE "C" NOT NULL,
    machine BYTEA NOT NULL,
    since BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    UNIQUE (pool, holder, session, machine)
);
CREATE INDEX loans_by_end ON loans (pool, ends);

-- The most seats that were taken at once on a day, and how often one was.
CREATE TABLE seat_days (
    pool BIGINT NOT NULL REFERENCES pools,
    day BIGINT NOT NULL,
    peak BIGINT NOT NULL,
    acquired BIGINT NOT NULL,
    PRIMARY KEY (pool, day)
) WITH (fillfactor = 50);

-- Everything that was given out and taken back, in the transaction that did it, and how much there
-- was of what. A loan has its end in `label`. Terms of a quota have the license's revision in
-- `label`, and in `units` the limit, or -1 if there is none.
CREATE TABLE usage (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    incarnation BYTEA NOT NULL,
    request BIGINT NOT NULL,
    act BIGINT NOT NULL,
    license BYTEA NOT NULL,
    code BIGINT NOT NULL,
    period BIGINT,
    label BIGINT,
    units BIGINT NOT NULL,
    fence BIGINT,
    holder TEXT COLLATE "C",
    session TEXT COLLATE "C"
);
-- The owner keeps its hands off the log too, as long as it is no superuser.
REVOKE UPDATE, DELETE, TRUNCATE ON usage FROM CURRENT_USER;
