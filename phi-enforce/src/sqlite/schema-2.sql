-- Version 2: whoever waits is counted by group without a look at each row.
DROP INDEX places_in_queue;
CREATE INDEX places_in_queue ON places (pool, place, id, team);
