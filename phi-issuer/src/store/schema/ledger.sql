-- The ledger: what happened, in order. Nothing here is ever changed: see the triggers of each
-- engine. Types are written as SQLite has them; `Engine` translates them.
CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,    -- from 1, without gaps
    time            INTEGER NOT NULL,       -- seconds since 1970, by the clock of who wrote it
    actor           TEXT    NOT NULL,
    event           TEXT    NOT NULL,       -- the event's word
    idempotency_key TEXT    UNIQUE,         -- a request with the same key is not carried out twice
    body            BLOB    NOT NULL        -- the event in deterministic CBOR
) STRICT;
