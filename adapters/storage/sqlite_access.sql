-- Tokens and the operators' log of an SQLite ledger, in the ledger's own file. Added to a ledger of
-- an earlier release when that is opened; the earlier release does not see them.

-- One row per token that was made, kept as its sha256. Times are microseconds since 1970-01-01 UTC.
CREATE TABLE IF NOT EXISTS api_tokens (
    name         TEXT    PRIMARY KEY NOT NULL,
    roles        TEXT    NOT NULL,
    store        TEXT,
    sha256       TEXT    NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
);

-- One row per use of an operator's right; id counts without a gap, so that a missing row would show.
CREATE TABLE IF NOT EXISTS operator_log (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    origin  TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    object  TEXT    NOT NULL,
    reason  TEXT,
    outcome TEXT    NOT NULL
);

-- A token is revoked once and for good; nothing else of it changes but when it was last used.
CREATE TRIGGER IF NOT EXISTS api_tokens_no_change BEFORE UPDATE ON api_tokens
WHEN (NEW.name, NEW.roles, NEW.sha256, NEW.created_at)
     <> (OLD.name, OLD.roles, OLD.sha256, OLD.created_at)
  OR NEW.store IS NOT OLD.store OR NEW.expires_at IS NOT OLD.expires_at
  OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
BEGIN SELECT RAISE(ABORT, 'a token can be revoked, not changed'); END;
CREATE TRIGGER IF NOT EXISTS api_tokens_no_delete BEFORE DELETE ON api_tokens
BEGIN SELECT RAISE(ABORT, 'a token can be revoked, not deleted'); END;
CREATE TRIGGER IF NOT EXISTS api_tokens_no_replace BEFORE INSERT ON api_tokens
WHEN EXISTS (SELECT 1 FROM api_tokens WHERE name = NEW.name OR sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'this token exists already'); END;

CREATE TRIGGER IF NOT EXISTS operator_log_no_update BEFORE UPDATE ON operator_log
BEGIN SELECT RAISE(ABORT, 'the operators'' log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS operator_log_no_delete BEFORE DELETE ON operator_log
BEGIN SELECT RAISE(ABORT, 'the operators'' log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS operator_log_no_replace BEFORE INSERT ON operator_log
WHEN EXISTS (SELECT 1 FROM operator_log WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'this operation is logged already'); END;
