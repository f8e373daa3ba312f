-- The ledger: what happened, in order. Nothing here is ever changed: see the triggers of each
-- engine. Types are written as SQLite has them; `Engine` translates them.
CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,    -- from 1, without gaps
    time            INTEGER NOT NULL,       -- seconds since 1970; it never falls
    actor           TEXT    NOT NULL,
    word            TEXT    NOT NULL,       -- what happened
    idempotency_key TEXT    UNIQUE,         -- a request with the same key is not carried out twice
    entry           BLOB    NOT NULL        -- all of it, in deterministic CBOR: docs/ledger.md
) STRICT;
CREATE INDEX events_by_time ON events (time, seq);
