-- What did not authenticate: rings of a bounded number of rows, which strangers cannot make grow.

-- A row says how often a provider's deliveries were refused for a reason since the row before, and
-- what the last of them looked like. Row n is in slot n mod 1000.
CREATE TABLE order_ledger.refusals (
    slot       integer     PRIMARY KEY,
    id         bigint      NOT NULL UNIQUE,
    at         timestamptz NOT NULL,
    provider   text        NOT NULL,
    reason     text        NOT NULL,
    diagnosis  text        NOT NULL,
    address    text,
    body_bytes bigint,
    count      bigint      NOT NULL
);

-- Whole ones, where the configuration asks for it: the headers that hold the signature, as JSON,
-- and the body. Row n is in slot n mod 100.
CREATE TABLE order_ledger.kept_refusals (
    slot        integer     PRIMARY KEY,
    id          bigint      NOT NULL UNIQUE,
    received_at timestamptz NOT NULL,
    provider    text        NOT NULL,
    reason      text        NOT NULL,
    address     text,
    body_sha256 text        NOT NULL,
    headers     text        NOT NULL,
    body        bytea       NOT NULL
);
CREATE INDEX kept_refusals_by_body ON order_ledger.kept_refusals (provider, body_sha256);

-- The number of the newest row of each ring, which outlives the rows that were taken out.
CREATE TABLE order_ledger.refusal_rings (
    ring    text   PRIMARY KEY,
    last_id bigint NOT NULL
);
INSERT INTO order_ledger.refusal_rings VALUES ('refusals', 0), ('kept_refusals', 0);

-- A ring is no part of the log: its rows make room for newer ones.
GRANT SELECT, INSERT, UPDATE, DELETE ON order_ledger.refusals, order_ledger.kept_refusals
    TO order_ledger_service;
GRANT SELECT, UPDATE ON order_ledger.refusal_rings TO order_ledger_service;
