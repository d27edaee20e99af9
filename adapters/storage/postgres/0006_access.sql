-- Tokens of the query API, kept as their sha256, and the log of what operators did.

-- A name is never used again: the operators' log speaks of it.
CREATE TABLE order_ledger.api_tokens (
    name         text        COLLATE "C" PRIMARY KEY,
    roles        text        NOT NULL,
    store        text        COLLATE "C",
    sha256       text        COLLATE "C" NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- One row per use of an operator's right; id counts without a gap, so that a missing row would show.
CREATE TABLE order_ledger.operator_log (
    id      bigint      PRIMARY KEY,
    at      timestamptz NOT NULL,
    who     text        NOT NULL,
    origin  text        NOT NULL,
    action  text        NOT NULL,
    object  text        NOT NULL,
    reason  text,
    outcome text        NOT NULL
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.operator_log
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();

-- A token is revoked once and for good; nothing else of it changes but when it was last used.
CREATE FUNCTION order_ledger.keep_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.name, NEW.roles, NEW.store, NEW.sha256, NEW.created_at, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.name, OLD.roles, OLD.store, OLD.sha256, OLD.created_at, OLD.expires_at)
       OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    THEN
        RAISE EXCEPTION 'a token can be revoked, not changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION order_ledger.keep_token() FROM PUBLIC;

CREATE TRIGGER keep_token BEFORE UPDATE ON order_ledger.api_tokens
    FOR EACH ROW EXECUTE FUNCTION order_ledger.keep_token();
CREATE TRIGGER keep_row BEFORE DELETE OR TRUNCATE ON order_ledger.api_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();

-- Rights on columns do what a function would: the service can neither change nor remove a token.
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON order_ledger.api_tokens
    TO order_ledger_service;
GRANT SELECT, INSERT ON order_ledger.operator_log TO order_ledger_service;
