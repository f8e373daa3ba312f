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
    id       TEXT    NOT NULL UNIQUE,
    customer TEXT    NOT NULL REFERENCES customers (id),
    product  TEXT    NOT NULL
) STRICT;
CREATE INDEX licenses_by_customer ON licenses (customer);

CREATE TABLE tokens (
    seq       INTEGER PRIMARY KEY REFERENCES events (seq),
    id        TEXT    NOT NULL UNIQUE,
    license   TEXT    NOT NULL REFERENCES licenses (id),
    key_id    TEXT    NOT NULL REFERENCES keys (id),
    issued_at INTEGER NOT NULL,
    ends      INTEGER,                      -- NULL: never
    epoch     INTEGER NOT NULL              -- lists of a later epoch know the token
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
