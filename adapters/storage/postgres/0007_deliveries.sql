-- What the delivery log says besides: how large the body was, where it came from, which secret
-- proved it and, for what is taken in again or discarded, which earlier delivery that was.

ALTER TABLE order_ledger.deliveries
    ADD COLUMN body_bytes bigint,
    ADD COLUMN address    text,
    ADD COLUMN key_id     text,
    ADD COLUMN origin     text NOT NULL DEFAULT 'webhook',
    ADD COLUMN replay_of  bigint,
    ADD COLUMN context    text;
CREATE INDEX deliveries_set_aside ON order_ledger.deliveries (partition, id)
    WHERE outcome IN ('quarantined', 'ignored') AND replay_of IS NULL;
CREATE INDEX deliveries_by_replay ON order_ledger.deliveries (partition, replay_of)
    WHERE replay_of IS NOT NULL;

DROP FUNCTION order_ledger.append;

-- Appends one batch of deliveries and the events that they produced, in one call.
--
-- The arrays of events and of deliveries are parallel. An event names its delivery by number, from
-- 1; a delivery names its position by the number of its last event in this batch (p_last_event), or
-- by the index of an event that is stored already (p_idx), or has none. An array of deliveries may
-- be shorter than the others: what is missing is null, in p_origin a webhook. The time of recording
-- is this server's, unless p_now names one, and never before the last one's. Returns the indexes
-- that the log ended at before. Raises unique_violation where a version of an order exists: then
-- another writer was first, and nothing of the batch is stored.

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
    p_body_sha256    text[],
    p_reason         text[],
    p_body_bytes     bigint[],
    p_address        text[],
    p_key_id         text[],
    p_origin         text[],
    p_replay_of      bigint[],
    p_context        text[],
    p_body           bytea[]
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

    INSERT INTO stored_events
    SELECT p_partition, before_idx + n, originator_id, version, topic, state, v_recorded_at,
           before_delivery_id + delivery
      FROM unnest(p_originator_id, p_version, p_topic, p_state, p_delivery)
           WITH ORDINALITY AS e (originator_id, version, topic, state, delivery, n);

    INSERT INTO deliveries
    SELECT p_partition, before_delivery_id + n, received_at, v_recorded_at, provider, outcome,
           coalesce(before_idx + last_event, d.idx), stream, body_sha256, reason,
           body_bytes, address, key_id, coalesce(origin, 'webhook'), replay_of, context
      FROM unnest(p_received_at, p_provider, p_outcome, p_last_event, p_idx, p_stream,
                  p_body_sha256, p_reason, p_body_bytes, p_address, p_key_id, p_origin,
                  p_replay_of, p_context)
           WITH ORDINALITY AS d (received_at, provider, outcome, last_event, idx, stream,
                                 body_sha256, reason, body_bytes, address, key_id, origin,
                                 replay_of, context, n);

    INSERT INTO bodies
    SELECT p_partition, before_delivery_id + n, body
      FROM unnest(p_body) WITH ORDINALITY AS b (body, n)
     WHERE body IS NOT NULL;

    PERFORM pg_notify('order_ledger', p_partition::text);
    RETURN NEXT;
END $$;

REVOKE ALL ON FUNCTION order_ledger.append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_ledger.append TO order_ledger_service;
