-- Finds a stored event after an append whose answer was lost.
--
-- Takes the log's lock first: a backend that is still at work on the lost call has then finished,
-- one way or the other. A call that is still on its way to the server is refused later by the version
-- of the event that it adds.

CREATE FUNCTION order_ledger.find_event(
    p_partition integer, p_originator_id text, p_version integer
) RETURNS TABLE (idx bigint, state text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    PERFORM 1 FROM log_head WHERE partition = p_partition FOR UPDATE;
    RETURN QUERY
    SELECT e.idx, e.state FROM stored_events AS e
     WHERE e.partition = p_partition AND e.originator_id = p_originator_id
       AND e.originator_version = p_version;
END $$;

-- The same for a batch that appended no event: the delivery log tells.
CREATE FUNCTION order_ledger.find_delivery(
    p_partition integer, p_received_at timestamptz, p_body_sha256 text
) RETURNS TABLE (id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
DECLARE
    v_last bigint;
BEGIN
    SELECT last_delivery_id INTO v_last FROM log_head WHERE partition = p_partition FOR UPDATE;
    RETURN QUERY
    SELECT d.id FROM deliveries AS d
     WHERE d.partition = p_partition AND d.id > v_last - 100000
       AND d.received_at = p_received_at AND d.body_sha256 = p_body_sha256;
END $$;
