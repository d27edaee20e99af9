-- The outbox of an SQLite ledger, in the ledger's own file. Added to a ledger of an earlier release
-- when that is opened; the earlier release does not see it. Times are microseconds since 1970-01-01
-- UTC.

-- One row per target that was ever configured: how far it follows the log, and what holds it back.
CREATE TABLE IF NOT EXISTS effect_targets (
    name       TEXT    PRIMARY KEY NOT NULL,
    position   INTEGER NOT NULL,
    paused     TEXT,
    problem    TEXT,
    failures   INTEGER NOT NULL DEFAULT 0,
    open_until INTEGER
);

-- One row per event and target that wants it. What it is about never changes; how it goes does.
CREATE TABLE IF NOT EXISTS effects (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    target     TEXT    NOT NULL,
    store      TEXT    NOT NULL,
    order_id   TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    idx        INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    state      TEXT    NOT NULL DEFAULT 'pending',
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER,
    last_at    INTEGER,
    sent_at    INTEGER,
    answer     TEXT,
    excerpt    TEXT
);
CREATE INDEX IF NOT EXISTS effects_of_order ON effects (store, order_id, version);
CREATE INDEX IF NOT EXISTS effects_due ON effects (target, next_at, number)
    WHERE state IN ('pending', 'failed');
CREATE INDEX IF NOT EXISTS effects_open ON effects (target, store, order_id, version)
    WHERE state IN ('pending', 'failed', 'dead');

CREATE TRIGGER IF NOT EXISTS effects_keep_what BEFORE UPDATE ON effects
WHEN (NEW.number, NEW.id, NEW.target, NEW.store, NEW.order_id, NEW.version, NEW.idx, NEW.event,
      NEW.created_at)
  <> (OLD.number, OLD.id, OLD.target, OLD.store, OLD.order_id, OLD.version, OLD.idx, OLD.event,
      OLD.created_at)
BEGIN SELECT RAISE(ABORT, 'what an effect is about never changes'); END;
CREATE TRIGGER IF NOT EXISTS effects_no_delete BEFORE DELETE ON effects
BEGIN SELECT RAISE(ABORT, 'what was sent stays known'); END;
CREATE TRIGGER IF NOT EXISTS effects_no_replace BEFORE INSERT ON effects
WHEN EXISTS (SELECT 1 FROM effects WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'this effect is known already'); END;
