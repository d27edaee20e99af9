-- What did not authenticate: rings of a bounded number of rows, which strangers cannot make grow.
-- Times are microseconds since 1970-01-01 UTC.

-- A row says how often a provider's deliveries were refused for a reason since the row before, and
-- what the last of them looked like. Row n is in slot n mod 1000.
CREATE TABLE IF NOT EXISTS refusals (
    slot       INTEGER PRIMARY KEY,
    id         INTEGER NOT NULL UNIQUE,
    at         INTEGER NOT NULL,
    provider   TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    diagnosis  TEXT    NOT NULL,
    address    TEXT,
    body_bytes INTEGER,
    count      INTEGER NOT NULL
);

-- Whole ones, where the configuration asks for it: the headers that hold the signature, as JSON,
-- and the body. Row n is in slot n mod 100.
CREATE TABLE IF NOT EXISTS kept_refusals (
    slot        INTEGER PRIMARY KEY,
    id          INTEGER NOT NULL UNIQUE,
    received_at INTEGER NOT NULL,
    provider    TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    address     TEXT,
    body_hash TEXT    NOT NULL,
    headers     TEXT    NOT NULL,
    body        BLOB    NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_refusals_by_body ON kept_refusals (provider, body_hash);

-- The number of the newest row of each ring, which outlives the rows that were taken out.
CREATE TABLE IF NOT EXISTS refusal_rings (
    ring    TEXT    PRIMARY KEY NOT NULL,
    last_id INTEGER NOT NULL
);
INSERT OR IGNORE INTO refusal_rings VALUES ('refusals', 0), ('kept_refusals', 0);
