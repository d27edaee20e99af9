-- Evidence: the ledger's name, the public keys that signed, signed checkpoints, and the tree's tiles.

-- One row: the name that checkpoints are signed under, unless another is configured, and by which the
-- keys are found.
CREATE TABLE order_ledger.ledger_identity (
    one integer PRIMARY KEY CHECK (one = 1),
    id  text    NOT NULL
);
INSERT INTO order_ledger.ledger_identity
VALUES (1, 'ledger-' || left(replace(gen_random_uuid()::text, '-', ''), 16));

-- One row per public key that ever signed; the keys before it go on until earlier_until.
CREATE TABLE order_ledger.seal_keys (
    number        integer     PRIMARY KEY,
    public_key    bytea       NOT NULL UNIQUE,
    since         timestamptz NOT NULL,
    earlier_until timestamptz NOT NULL
);

-- One row per signed checkpoint: a C2SP signed note. tree_size repeats what the note says.
CREATE TABLE order_ledger.checkpoints (
    partition integer     NOT NULL,
    number    bigint      NOT NULL,
    tree_size bigint      NOT NULL,
    note      text        NOT NULL,
    made_at   timestamptz NOT NULL,
    PRIMARY KEY (partition, number)
);
CREATE INDEX checkpoints_by_size ON order_ledger.checkpoints (partition, tree_size, number);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.ledger_identity
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.seal_keys
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();

-- 256 neighbouring hashes of a level, 32 bytes each, one after the other; the last of a level has
-- fewer. They are made from the log and can be made again.
CREATE TABLE order_ledger.tiles (
    partition integer NOT NULL,
    level     integer NOT NULL,
    number    bigint  NOT NULL,
    hashes    bytea   NOT NULL,
    PRIMARY KEY (partition, level, number)
);
ALTER TABLE order_ledger.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;  -- hashes do not compress

-- One row: why the sealer stands still, or null.
CREATE TABLE order_ledger.sealer (problem text);

GRANT SELECT ON order_ledger.ledger_identity TO order_ledger_service;
GRANT SELECT, INSERT ON order_ledger.seal_keys, order_ledger.checkpoints TO order_ledger_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON order_ledger.tiles, order_ledger.sealer
    TO order_ledger_service;
