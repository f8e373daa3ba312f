-- The tables of version 1, as they were before Phi 0.2.
-- The ledger: what happened, in order. Nothing here is ever changed.
CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,    -- from 1, without gaps
    time            INTEGER NOT NULL,       -- seconds since 1970, by the clock of who wrote it
    actor           TEXT    NOT NULL,
    event           TEXT    NOT NULL,       -- the event's word
    idempotency_key TEXT    UNIQUE,         -- a request with the same key is not carried out twice
    body            BLOB    NOT NULL        -- the event in deterministic CBOR
) STRICT;

CREATE TRIGGER events_keep_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_keep_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER events_append BEFORE INSERT ON events
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events)
BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;

-- Everything below is derived from the events and can be made again from them.
CREATE TABLE keys (
    id         TEXT    PRIMARY KEY,
    role       TEXT    NOT NULL,
    public     TEXT    NOT NULL,            -- k4.public
    added      INTEGER NOT NULL,
    signs_from INTEGER,                     -- NULL: staged
    until      INTEGER,                     -- NULL: not retired
    revoked    INTEGER NOT NULL DEFAULT 0,
    dropped    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE catalogs (
    product  TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    seq      INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (product, revision)
) STRICT;

CREATE TABLE customers (
    id   TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE licenses (
    id       TEXT    PRIMARY KEY,
    customer TEXT    NOT NULL REFERENCES customers (id),
    product  TEXT    NOT NULL,
    seq      INTEGER NOT NULL REFERENCES events (seq)
) STRICT;
CREATE INDEX licenses_by_customer ON licenses (customer);

CREATE TABLE tokens (
    id        TEXT    PRIMARY KEY,
    license   TEXT    NOT NULL REFERENCES licenses (id),
    key_id    TEXT    NOT NULL REFERENCES keys (id),
    issued_at INTEGER NOT NULL,
    ends      INTEGER,                      -- NULL: never
    epoch     INTEGER NOT NULL,             -- lists of a later epoch know the token
    seq       INTEGER NOT NULL REFERENCES events (seq)
) STRICT;
CREATE INDEX tokens_by_license ON tokens (license);
CREATE INDEX tokens_by_key ON tokens (key_id, ends);

CREATE TABLE revocations (
    class         TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    issued_before INTEGER,                  -- NULL: all, also in the future
    seq           INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (class, id)
) STRICT;

CREATE TABLE publications (
    kind    TEXT    NOT NULL,
    product TEXT    NOT NULL,
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (kind, product, version)
) STRICT;
