-- What of an SQLite ledger's evidence is precious, in the ledger's own file. Times are microseconds since
-- 1970-01-01 UTC.

-- One row per public key that ever signed; the keys before it go on until earlier_until.
CREATE TABLE IF NOT EXISTS seal_keys (
    number        INTEGER PRIMARY KEY,
    public_key    BLOB    NOT NULL UNIQUE,
    since         INTEGER NOT NULL,
    earlier_until INTEGER NOT NULL
);

-- One row per signed checkpoint: a C2SP signed note. tree_size repeats what the note says.
CREATE TABLE IF NOT EXISTS checkpoints (
    partition INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    tree_size INTEGER NOT NULL,
    note      TEXT    NOT NULL,
    made_at   INTEGER NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS checkpoints_by_size ON checkpoints (partition, tree_size, number);

CREATE TRIGGER IF NOT EXISTS seal_keys_no_update BEFORE UPDATE ON seal_keys
BEGIN SELECT RAISE(ABORT, 'public keys are kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS seal_keys_no_delete BEFORE DELETE ON seal_keys
BEGIN SELECT RAISE(ABORT, 'public keys are kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS seal_keys_no_replace BEFORE INSERT ON seal_keys
WHEN EXISTS (SELECT 1 FROM seal_keys WHERE number = NEW.number OR public_key = NEW.public_key)
BEGIN SELECT RAISE(ABORT, 'this key is known already'); END;

CREATE TRIGGER IF NOT EXISTS checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER IF NOT EXISTS checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER IF NOT EXISTS checkpoints_no_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (SELECT 1 FROM checkpoints WHERE partition = NEW.partition AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'this checkpoint is kept already'); END;
