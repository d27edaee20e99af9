-- Appends one batch of deliveries and the events that they produced, in one call.
--
-- The arrays of events and of deliveries are parallel. An event names its delivery by number, from
-- 1; a delivery names its position by the number of its last event in this batch (p_last_event), or
-- by the index of an event that is stored already (p_idx), or has none. The time of recording is
-- this server's, unless p_now names one, and never before the last one's. Returns the indexes that
-- the log ended at before. Raises unique_violation where a version of an order exists: then another
-- writer was first, and nothing of the batch is stored.

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
           coalesce(before_idx + last_event, d.idx), stream, body_sha256, reason
      FROM unnest(p_received_at, p_provider, p_outcome, p_last_event, p_idx, p_stream,
                  p_body_sha256, p_reason)
           WITH ORDINALITY AS d (received_at, provider, outcome, last_event, idx, stream,
                                 body_sha256, reason, n);

    INSERT INTO bodies
    SELECT p_partition, before_delivery_id + n, body
      FROM unnest(p_body) WITH ORDINALITY AS b (body, n)
     WHERE body IS NOT NULL;

    PERFORM pg_notify('order_ledger', p_partition::text);
    RETURN NEXT;
END $$;
