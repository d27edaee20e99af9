-- The keys of an SQLite ledger, each wrapped by its master key, which lies elsewhere. Who copies this
-- file copies them too: docs/operations.md says how to keep them apart. Times are microseconds since
-- 1970-01-01 UTC.

-- One row per master key, without itself: proof is what it wrapped when it was made known. The newest
-- wraps; one that is retired wraps nothing any more.
CREATE TABLE IF NOT EXISTS master_keys (
    number     INTEGER PRIMARY KEY,
    key_id     TEXT    NOT NULL,
    proof      BLOB    NOT NULL,
    since      INTEGER NOT NULL,
    retired_at INTEGER
);

-- Keys of the whole ledger: the one of keyed hashes.
CREATE TABLE IF NOT EXISTS ledger_keys (name TEXT PRIMARY KEY, wrapped BLOB NOT NULL);

-- One row per order: id is the index of its first event, so that keys lie in the order in which they
-- were made. Who erases an order deletes its row.
CREATE TABLE IF NOT EXISTS order_keys (
    id      INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
);

-- One row per body that told of no order: id is its delivery's.
CREATE TABLE IF NOT EXISTS body_keys (
    id      INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
);

-- The deliveries whose body had a key of its own that was destroyed. It lies with the log and not with
-- the keys, so that an older file of keys brings none back. Made in a file from before it, it begins
-- with those that are gone already.
CREATE TABLE IF NOT EXISTS destroyed_body_keys AS
    SELECT d.id FROM deliveries AS d JOIN bodies AS b ON b.delivery_id = d.id
    WHERE d.outcome IN ('quarantined', 'ignored') AND d.replay_of IS NULL
      AND NOT EXISTS (SELECT 1 FROM body_keys AS k WHERE k.id = d.id);
CREATE UNIQUE INDEX IF NOT EXISTS destroyed_body_keys_id ON destroyed_body_keys (id);

-- What bodies are compressed with.
CREATE TABLE IF NOT EXISTS dictionaries (
    number   INTEGER PRIMARY KEY,
    provider TEXT    NOT NULL,
    content  BLOB    NOT NULL,
    samples  INTEGER NOT NULL,
    made_at  INTEGER NOT NULL
);

CREATE TRIGGER IF NOT EXISTS order_keys_no_move BEFORE UPDATE OF id ON order_keys
BEGIN SELECT RAISE(ABORT, 'a key stays the one of its order'); END;
CREATE TRIGGER IF NOT EXISTS order_keys_no_replace BEFORE INSERT ON order_keys
WHEN EXISTS (SELECT 1 FROM order_keys WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'this order has a key already'); END;
CREATE TRIGGER IF NOT EXISTS body_keys_no_move BEFORE UPDATE OF id ON body_keys
BEGIN SELECT RAISE(ABORT, 'a key stays the one of its body'); END;
CREATE TRIGGER IF NOT EXISTS body_keys_no_replace BEFORE INSERT ON body_keys
WHEN EXISTS (SELECT 1 FROM body_keys WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'this body has a key already'); END;
-- A body's key that goes is remembered, and is not taken back.
CREATE TRIGGER IF NOT EXISTS body_keys_destroyed AFTER DELETE ON body_keys
WHEN EXISTS (SELECT 1 FROM deliveries WHERE id = OLD.id)
BEGIN INSERT OR IGNORE INTO destroyed_body_keys VALUES (OLD.id); END;
CREATE TRIGGER IF NOT EXISTS body_keys_stay_destroyed BEFORE INSERT ON body_keys
WHEN EXISTS (SELECT 1 FROM destroyed_body_keys WHERE id = NEW.id)
BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER IF NOT EXISTS destroyed_body_keys_no_update BEFORE UPDATE ON destroyed_body_keys
BEGIN SELECT RAISE(ABORT, 'what was destroyed stays so'); END;
CREATE TRIGGER IF NOT EXISTS destroyed_body_keys_no_delete BEFORE DELETE ON destroyed_body_keys
BEGIN SELECT RAISE(ABORT, 'what was destroyed stays so'); END;
-- An order's key goes with the event that says so, and not otherwise.
CREATE TRIGGER IF NOT EXISTS order_keys_no_delete BEFORE DELETE ON order_keys
WHEN NOT EXISTS (
    SELECT 1 FROM stored_events AS begun JOIN stored_events AS erased
        ON erased.originator_id = begun.originator_id AND erased.topic = 'PersonalDataErased'
    WHERE begun.idx = OLD.id
)
BEGIN SELECT RAISE(ABORT, 'the key of an order is destroyed by its erasure alone'); END;
CREATE TRIGGER IF NOT EXISTS ledger_keys_no_delete BEFORE DELETE ON ledger_keys
BEGIN SELECT RAISE(ABORT, 'the keys of the ledger are kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS master_keys_no_delete BEFORE DELETE ON master_keys
BEGIN SELECT RAISE(ABORT, 'master keys are known for ever'); END;
CREATE TRIGGER IF NOT EXISTS dictionaries_no_update BEFORE UPDATE ON dictionaries
BEGIN SELECT RAISE(ABORT, 'dictionaries are kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS dictionaries_no_delete BEFORE DELETE ON dictionaries
BEGIN SELECT RAISE(ABORT, 'dictionaries are kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS dictionaries_no_replace BEFORE INSERT ON dictionaries
WHEN EXISTS (SELECT 1 FROM dictionaries WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'dictionaries are kept for ever'); END;
