-- What keeps the ledger as it is, in PostgreSQL.
CREATE FUNCTION events_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION events_keep();

CREATE FUNCTION events_append() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events) THEN
        RAISE EXCEPTION 'events are only appended' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER events_append BEFORE INSERT ON events
FOR EACH ROW EXECUTE FUNCTION events_append();

-- What a writer takes first, so that writers take turns; and which version the tables are.
CREATE TABLE phi_store (
    application BIGINT PRIMARY KEY,         -- the letters "Phi1"
    version     BIGINT NOT NULL
);
