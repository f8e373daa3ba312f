-- Everything here is derived from the events and can be made again from them. What an event made
-- has its `seq`.
CREATE TABLE keys (
    seq        INTEGER PRIMARY KEY REFERENCES events (seq),
    id         TEXT    NOT NULL UNIQUE,
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
    seq      INTEGER PRIMARY KEY REFERENCES events (seq),
    id       BLOB    NOT NULL UNIQUE,
    customer TEXT    NOT NULL REFERENCES customers (id),
    product  TEXT    NOT NULL,
    standing TEXT    NOT NULL,              -- where it stands by what somebody did
    due      INTEGER,                       -- when the next change that waits takes effect
    record   BLOB    NOT NULL               -- its events, folded, in deterministic CBOR
) STRICT;
CREATE INDEX licenses_by_customer ON licenses (customer, seq);
CREATE INDEX licenses_suspended ON licenses (seq) WHERE standing = 'suspended';
CREATE INDEX licenses_due ON licenses (due) WHERE due IS NOT NULL;

CREATE TABLE tokens (
    seq       INTEGER PRIMARY KEY REFERENCES events (seq),
    id        BLOB    NOT NULL UNIQUE,
    license   BLOB    NOT NULL REFERENCES licenses (id),
    key_id    TEXT    NOT NULL REFERENCES keys (id),
    issued_at INTEGER NOT NULL,
    ends      INTEGER,                      -- NULL: never
    epoch     INTEGER NOT NULL              -- lists of a later epoch know the token
) STRICT;
CREATE INDEX tokens_by_license ON tokens (license, seq);
CREATE INDEX tokens_by_key ON tokens (key_id, ends);

-- The newest event about what was revoked: it may say that it is not any more, and then nothing
-- that was issued is.
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

CREATE TABLE checkpoints (
    seq  INTEGER PRIMARY KEY REFERENCES events (seq),
    size INTEGER NOT NULL UNIQUE            -- how many events it covers
) STRICT;

CREATE TABLE corrections (
    seq  INTEGER PRIMARY KEY REFERENCES events (seq),
    time INTEGER NOT NULL                   -- what the clock was set back to
) STRICT;

-- Which license, customer and product an event is about: what audits ask by.
CREATE TABLE trail (
    seq      INTEGER PRIMARY KEY REFERENCES events (seq),
    license  BLOB,
    customer TEXT,
    product  TEXT,
    changes  INTEGER NOT NULL               -- 1: it changes the license; 0: it is about it
) STRICT;
CREATE INDEX trail_by_license ON trail (license, changes, seq) WHERE license IS NOT NULL;
CREATE INDEX trail_by_customer ON trail (customer, seq) WHERE customer IS NOT NULL;

-- The Merkle tree over the events, in tiles of 256 hashes (C2SP tlog-tiles).
CREATE TABLE tiles (
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB    NOT NULL,
    PRIMARY KEY (level, number)
) STRICT;
