-- The log of an SQLite ledger. This file is the whole of it; the read models live in a second
-- file, because they can be thrown away and made again from this one.

-- One row per event. idx is the index of its position in partition 0: gapless, never reused.
-- The times are microseconds since 1970-01-01 UTC. state is JSON.
CREATE TABLE IF NOT EXISTS stored_events (
    idx                INTEGER PRIMARY KEY,
    originator_id      TEXT    NOT NULL,
    originator_version INTEGER NOT NULL,
    topic              TEXT    NOT NULL,
    state              BLOB    NOT NULL,
    recorded_at        INTEGER NOT NULL,
    delivery_id        INTEGER,
    UNIQUE (originator_id, originator_version)
);

-- One row per authentic delivery, duplicates included. idx is the position of the last event that
-- it appended, for a duplicate its original's.
CREATE TABLE IF NOT EXISTS deliveries (
    id            INTEGER PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    recorded_at   INTEGER NOT NULL,
    provider      TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    idx           INTEGER,
    originator_id TEXT,
    body_sha256   TEXT    NOT NULL,
    reason        TEXT
);

-- The raw bodies, apart from the facts. A delivery whose bytes are kept already has none.
CREATE TABLE IF NOT EXISTS bodies (
    delivery_id INTEGER PRIMARY KEY,
    body        BLOB NOT NULL
);

-- What was written stays. The triggers before INSERT are there because INSERT OR REPLACE deletes
-- the old row without firing a DELETE trigger.
CREATE TRIGGER IF NOT EXISTS stored_events_no_update BEFORE UPDATE ON stored_events
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS stored_events_no_delete BEFORE DELETE ON stored_events
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS stored_events_no_replace BEFORE INSERT ON stored_events
WHEN EXISTS (SELECT 1 FROM stored_events WHERE idx = NEW.idx)
  OR EXISTS (SELECT 1 FROM stored_events WHERE originator_id = NEW.originator_id
             AND originator_version = NEW.originator_version)
BEGIN SELECT RAISE(ABORT, 'this event is stored already'); END;

CREATE TRIGGER IF NOT EXISTS deliveries_no_update BEFORE UPDATE ON deliveries
BEGIN SELECT RAISE(ABORT, 'the delivery log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS deliveries_no_delete BEFORE DELETE ON deliveries
BEGIN SELECT RAISE(ABORT, 'the delivery log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS deliveries_no_replace BEFORE INSERT ON deliveries
WHEN EXISTS (SELECT 1 FROM deliveries WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'this delivery is logged already'); END;

CREATE TRIGGER IF NOT EXISTS bodies_no_update BEFORE UPDATE ON bodies
BEGIN SELECT RAISE(ABORT, 'bodies are kept as they came'); END;
CREATE TRIGGER IF NOT EXISTS bodies_no_delete BEFORE DELETE ON bodies
BEGIN SELECT RAISE(ABORT, 'bodies are kept as they came'); END;
CREATE TRIGGER IF NOT EXISTS bodies_no_replace BEFORE INSERT ON bodies
WHEN EXISTS (SELECT 1 FROM bodies WHERE delivery_id = NEW.delivery_id)
BEGIN SELECT RAISE(ABORT, 'this body is kept already'); END;
