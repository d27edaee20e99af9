-- The log: one row per event, per authentic delivery, and per body that was kept.
-- Run by the owner. Positions are (partition, idx); times are recorded by the append function.

CREATE SCHEMA IF NOT EXISTS order_ledger;

-- One row per partition: the lock that appends queue on, the source of gapless indexes, and the
-- mark where the log ends, at once.
CREATE TABLE order_ledger.log_head (
    partition        integer     PRIMARY KEY,
    last_idx         bigint      NOT NULL,
    last_delivery_id bigint      NOT NULL,
    last_recorded_at timestamptz NOT NULL
);
INSERT INTO order_ledger.log_head VALUES (0, 0, 0, '-infinity');

-- The stream and the topic compare byte by byte, whatever the database's collation. The state is
-- JSON, kept as the very text that was written.
CREATE TABLE order_ledger.stored_events (
    partition          integer     NOT NULL,
    idx                bigint      NOT NULL,
    originator_id      text        COLLATE "C" NOT NULL,
    originator_version integer     NOT NULL,
    topic              text        COLLATE "C" NOT NULL,
    state              text        NOT NULL,
    recorded_at        timestamptz NOT NULL,
    delivery_id        bigint,
    PRIMARY KEY (partition, idx),
    UNIQUE (partition, originator_id, originator_version)
);

-- idx is the position of the last event that the delivery appended, a duplicate's original's.
CREATE TABLE order_ledger.deliveries (
    partition     integer     NOT NULL,
    id            bigint      NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    provider      text        NOT NULL,
    outcome       text        NOT NULL,
    idx           bigint,
    originator_id text,
    body_sha256   text        NOT NULL,
    reason        text,
    PRIMARY KEY (partition, id)
);

-- Raw bodies, apart from the facts. A delivery whose bytes are kept already has none.
CREATE TABLE order_ledger.bodies (
    partition   integer NOT NULL,
    delivery_id bigint  NOT NULL,
    body        bytea   NOT NULL,
    PRIMARY KEY (partition, delivery_id)
);
