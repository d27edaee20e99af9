-- The outbox: what follows from events outside of the ledger, and how it goes.

-- One row per target that was ever configured: how far it follows the log, and what holds it back.
CREATE TABLE order_ledger.effect_targets (
    name       text    COLLATE "C" PRIMARY KEY,
    position   bigint  NOT NULL,
    paused     text,
    problem    text,
    failures   integer NOT NULL DEFAULT 0,
    open_until timestamptz
);

-- One row per event and target that wants it. What it is about never changes; how it goes does.
CREATE TABLE order_ledger.effects (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text        COLLATE "C" NOT NULL UNIQUE,
    target     text        COLLATE "C" NOT NULL,
    store      text        COLLATE "C" NOT NULL,
    order_id   text        COLLATE "C" NOT NULL,
    version    integer     NOT NULL,
    idx        bigint      NOT NULL,
    event      text        NOT NULL,
    created_at timestamptz NOT NULL,
    state      text        NOT NULL DEFAULT 'pending',
    attempts   integer     NOT NULL DEFAULT 0,
    next_at    timestamptz,
    last_at    timestamptz,
    sent_at    timestamptz,
    answer     text,
    excerpt    text
);
CREATE INDEX effects_of_order ON order_ledger.effects (store, order_id, version);
CREATE INDEX effects_due ON order_ledger.effects (target, next_at, number)
    WHERE state IN ('pending', 'failed');
CREATE INDEX effects_open ON order_ledger.effects (target, store, order_id, version)
    WHERE state IN ('pending', 'failed', 'dead');
CREATE TRIGGER keep_rows BEFORE DELETE OR TRUNCATE ON order_ledger.effects
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();

-- Rights on columns do what a trigger would: what an effect is about never changes.
GRANT SELECT, INSERT, UPDATE ON order_ledger.effect_targets TO order_ledger_service;
GRANT SELECT, INSERT, UPDATE (state, attempts, next_at, last_at, sent_at, answer, excerpt)
    ON order_ledger.effects TO order_ledger_service;
