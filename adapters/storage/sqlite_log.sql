-- The log of an SQLite ledger. This file is the whole of it; the read models live in a second
-- file, because they can be thrown away and made again from this one.

-- One row, made with the ledger: the name that its checkpoints are signed under, unless another is
-- configured, and that its keys are bound to and found by.
CREATE TABLE IF NOT EXISTS ledger_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
);
INSERT OR IGNORE INTO ledger_identity VALUES (1, 'ledger-' || lower(hex(randomblob(8))));
CREATE TRIGGER IF NOT EXISTS ledger_identity_no_update BEFORE UPDATE ON ledger_identity
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its name'); END;
CREATE TRIGGER IF NOT EXISTS ledger_identity_no_delete BEFORE DELETE ON ledger_identity
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its name'); END;

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
-- it appended, for a duplicate its original's. What is taken in again, or discarded, has a row of
-- its own that names the first one in replay_of.
CREATE TABLE IF NOT EXISTS deliveries (
    id            INTEGER PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    recorded_at   INTEGER NOT NULL,
    provider      TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    idx           INTEGER,
    originator_id TEXT,
    body_hash     TEXT    NOT NULL,
    reason        TEXT,
    body_bytes    INTEGER,
    address       TEXT,
    key_id        TEXT,
    origin        TEXT    NOT NULL DEFAULT 'webhook',
    replay_of     INTEGER
);
CREATE INDEX IF NOT EXISTS deliveries_set_aside ON deliveries (id)
    WHERE outcome IN ('quarantined', 'ignored') AND replay_of IS NULL;
CREATE INDEX IF NOT EXISTS deliveries_by_replay ON deliveries (replay_of)
    WHERE replay_of IS NOT NULL;

-- Bodies, sealed, apart from the facts. A delivery whose bytes are kept already has none.
CREATE TABLE IF NOT EXISTS bodies (
    delivery_id INTEGER PRIMARY KEY,
    body        BLOB NOT NULL
);

-- The names that registered orders go by, each one order's alone, and those under which parked news
-- waits. They follow from the events, so rows may go: when an order is registered anew, or when what
-- was parked has moved.
CREATE TABLE IF NOT EXISTS order_names (
    store    TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    order_id TEXT    NOT NULL,
    waits    INTEGER NOT NULL,
    PRIMARY KEY (store, order_id, name)
);
CREATE UNIQUE INDEX IF NOT EXISTS order_names_registered ON order_names (store, name)
    WHERE waits = 0;
CREATE INDEX IF NOT EXISTS order_names_by_name ON order_names (store, name);
-- The stores that have, or once had, a name: elsewhere no delivery has to be looked up.
CREATE TABLE IF NOT EXISTS naming_stores (store TEXT PRIMARY KEY);

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
