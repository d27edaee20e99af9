-- The ledger's keys, each wrapped by its master key, which lies elsewhere; and what bodies are
-- compressed with. From here on the stored format is settled: bodies are sealed, and no hash of one is
-- kept that anybody could try texts against.

DO $$
BEGIN
    IF EXISTS (SELECT FROM order_ledger.deliveries) OR EXISTS (SELECT FROM order_ledger.stored_events)
    THEN
        RAISE EXCEPTION 'this ledger was made before its stored format was settled, and keeps bodies '
            'that are not sealed: read it with the release that wrote it, make a new database for this '
            'one, and bring the history in with order-ledger import';
    END IF;
END $$;

-- One row per master key, without itself: proof is what it wrapped when it was made known. The newest
-- wraps; one that is retired wraps nothing any more.
CREATE TABLE order_ledger.master_keys (
    number     integer     PRIMARY KEY,
    key_id     text        NOT NULL,
    proof      bytea       NOT NULL,
    since      timestamptz NOT NULL,
    retired_at timestamptz
);

-- Keys of the whole ledger: the one of keyed hashes.
CREATE TABLE order_ledger.ledger_keys (name text COLLATE "C" PRIMARY KEY, wrapped bytea NOT NULL);

-- One row per order: id is the index of its first event, so that keys lie in the order in which they
-- were made. Who erases an order deletes its row.
CREATE TABLE order_ledger.order_keys (
    partition integer NOT NULL,
    id        bigint  NOT NULL,
    wrapped   bytea   NOT NULL,
    PRIMARY KEY (partition, id)
);

-- One row per body that told of no order: id is its delivery's.
CREATE TABLE order_ledger.body_keys (
    partition integer NOT NULL,
    id        bigint  NOT NULL,
    wrapped   bytea   NOT NULL,
    PRIMARY KEY (partition, id)
);

-- What bodies are compressed with.
CREATE TABLE order_ledger.dictionaries (
    number   integer     PRIMARY KEY,
    provider text        NOT NULL,
    content  bytea       NOT NULL,
    samples  integer     NOT NULL,
    made_at  timestamptz NOT NULL
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.dictionaries
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER keep_rows BEFORE DELETE OR TRUNCATE ON order_ledger.master_keys
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER keep_rows BEFORE DELETE OR TRUNCATE ON order_ledger.ledger_keys
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();

-- Rights on columns do what a trigger would: a key stays the one of its order, whatever wraps it.
GRANT SELECT, INSERT ON order_ledger.master_keys, order_ledger.ledger_keys,
    order_ledger.dictionaries TO order_ledger_service;
GRANT UPDATE (retired_at) ON order_ledger.master_keys TO order_ledger_service;
GRANT UPDATE (wrapped) ON order_ledger.ledger_keys TO order_ledger_service;
GRANT SELECT, UPDATE (wrapped) ON order_ledger.order_keys, order_ledger.body_keys
    TO order_ledger_service;

-- Keeps appends waiting until the transaction ends: what they wrap is wrapped before, or after.
CREATE FUNCTION order_ledger.lock_keys() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    PERFORM 1 FROM log_head ORDER BY partition FOR UPDATE;
END $$;

ALTER TABLE order_ledger.deliveries RENAME COLUMN body_sha256 TO body_hash;
ALTER TABLE order_ledger.deliveries DROP COLUMN context;
-- What is sealed does not compress.
ALTER TABLE order_ledger.bodies ALTER COLUMN body SET STORAGE EXTERNAL;

-- A refused delivery that is kept whole: its body is sealed too.
ALTER TABLE order_ledger.kept_refusals RENAME COLUMN body_sha256 TO body_hash;

DROP FUNCTION order_ledger.append;
DROP FUNCTION order_ledger.find_delivery;

-- Finds a delivery after an append whose answer was lost, and that appended no event.
CREATE FUNCTION order_ledger.find_delivery(
    p_partition integer, p_received_at timestamptz, p_body_hash text
) RETURNS TABLE (id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
DECLARE
    v_last bigint;
BEGIN
    SELECT last_delivery_id INTO v_last FROM log_head WHERE partition = p_partition FOR UPDATE;
    RETURN QUERY
    SELECT d.id FROM deliveries AS d
     WHERE d.partition = p_partition AND d.id > v_last - 100000
       AND d.received_at = p_received_at AND d.body_hash = p_body_hash;
END $$;

-- Appends one batch of deliveries and the events that they produced, in one call.
--
-- The arrays of events and of deliveries are parallel. An event names its delivery by number, from
-- 1; a delivery names its position by the number of its last event in this batch (p_last_event), or
-- by the index of an event that is stored already (p_idx), or has none. An array of deliveries may
-- be shorter than the others: what is missing is null, in p_origin a webhook. The time of recording
-- is this server's, unless p_now names one, and never before the last one's.
--
-- A new key of an order names the order's first event by its number in this batch (p_key_event) or by
-- its index (p_key_idx). p_master is the number of the master key that wrapped the keys.
--
-- Returns the indexes that the log ended at before. Raises unique_violation where a version of an
-- order exists: then another writer was first, and nothing of the batch is stored; and
-- object_not_in_prerequisite_state where another master key wraps by now.

CREATE FUNCTION order_ledger.append(
    p_partition      integer,
    p_now            timestamptz,
    p_originator_id  text[],
    p_version        integer[],
    p_topic          text[],
    p_state          text[],
    p_delivery       integer[],
    p_received_at    timestamptz[],
    p_provider       text[],
    p_outcome        text[],
    p_last_event     integer[],
    p_idx            bigint[],
    p_stream         text[],
    p_body_hash      text[],
    p_reason         text[],
    p_body_bytes     bigint[],
    p_address        text[],
    p_key_id         text[],
    p_origin         text[],
    p_replay_of      bigint[],
    p_body           bytea[],
    p_master         integer,
    p_key_event      integer[],
    p_key_idx        bigint[],
    p_key            bytea[],
    p_body_key       bytea[]
) RETURNS TABLE (before_idx bigint, before_delivery_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
DECLARE
    v_recorded_at timestamptz;
BEGIN
    UPDATE log_head AS head
       SET last_idx = last_idx + cardinality(p_version),
           last_delivery_id = last_delivery_id + cardinality(p_provider),
           last_recorded_at = greatest(last_recorded_at, coalesce(p_now, clock_timestamp()))
     WHERE partition = p_partition
    RETURNING last_idx - cardinality(p_version), last_delivery_id - cardinality(p_provider),
              last_recorded_at
      INTO STRICT before_idx, before_delivery_id, v_recorded_at;

    IF p_master IS NOT NULL AND p_master <> (SELECT max(number) FROM master_keys) THEN
        RAISE EXCEPTION 'the master key changed' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    INSERT INTO stored_events
    SELECT p_partition, before_idx + n, originator_id, version, topic, state, v_recorded_at,
           before_delivery_id + delivery
      FROM unnest(p_originator_id, p_version, p_topic, p_state, p_delivery)
           WITH ORDINALITY AS e (originator_id, version, topic, state, delivery, n);

    INSERT INTO deliveries
    SELECT p_partition, before_delivery_id + n, received_at, v_recorded_at, provider, outcome,
           coalesce(before_idx + last_event, d.idx), stream, body_hash, reason,
           body_bytes, address, key_id, coalesce(origin, 'webhook'), replay_of
      FROM unnest(p_received_at, p_provider, p_outcome, p_last_event, p_idx, p_stream,
                  p_body_hash, p_reason, p_body_bytes, p_address, p_key_id, p_origin, p_replay_of)
           WITH ORDINALITY AS d (received_at, provider, outcome, last_event, idx, stream,
                                 body_hash, reason, body_bytes, address, key_id, origin,
                                 replay_of, n);

    INSERT INTO bodies
    SELECT p_partition, before_delivery_id + n, body
      FROM unnest(p_body) WITH ORDINALITY AS b (body, n)
     WHERE body IS NOT NULL;

    INSERT INTO order_keys
    SELECT p_partition, coalesce(before_idx + event, k.idx), wrapped
      FROM unnest(p_key_event, p_key_idx, p_key) AS k (event, idx, wrapped);

    INSERT INTO body_keys
    SELECT p_partition, before_delivery_id + n, wrapped
      FROM unnest(p_body_key) WITH ORDINALITY AS k (wrapped, n)
     WHERE wrapped IS NOT NULL;

    PERFORM pg_notify('order_ledger', p_partition::text);
    RETURN NEXT;
END $$;

REVOKE ALL ON FUNCTION order_ledger.append, order_ledger.find_delivery, order_ledger.lock_keys
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_ledger.append, order_ledger.find_delivery, order_ledger.lock_keys
    TO order_ledger_service;
