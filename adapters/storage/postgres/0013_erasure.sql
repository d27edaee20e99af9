-- Erasure: keys are destroyed through these functions, and in no other way.

-- Destroys the keys of orders, named by the index of their first event, called in the transaction
-- that appends the events which say so. Raises for an order that none says it of.
CREATE FUNCTION order_ledger.destroy_keys(p_partition integer, p_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM order_keys AS key
         WHERE key.partition = p_partition AND key.id = ANY (p_ids) AND NOT EXISTS (
            SELECT FROM stored_events AS begun JOIN stored_events AS erased
                ON erased.partition = begun.partition AND erased.originator_id = begun.originator_id
             WHERE begun.partition = key.partition AND begun.idx = key.id
               AND erased.topic = 'PersonalDataErased')
    ) THEN
        RAISE EXCEPTION 'the key of an order is destroyed by its erasure alone';
    END IF;
    DELETE FROM order_keys WHERE partition = p_partition AND id = ANY (p_ids);
END $$;

-- Destroys the keys of bodies that told of no order, named by their deliveries.
CREATE FUNCTION order_ledger.destroy_body_keys(p_partition integer, p_ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
    DELETE FROM body_keys WHERE partition = p_partition AND id = ANY (p_ids);
$$;

-- Requires that keys are there, called behind an append: it holds the lock that every destruction
-- waits for. Raises integrity_constraint_violation: then the orders are to be read anew.
CREATE FUNCTION order_ledger.require_keys(p_partition integer, p_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(p_ids) AS wanted (id) WHERE NOT EXISTS (
            SELECT FROM order_keys AS key WHERE key.partition = p_partition AND key.id = wanted.id)
    ) THEN
        RAISE EXCEPTION 'the key of an order was destroyed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;

REVOKE ALL ON FUNCTION order_ledger.destroy_keys, order_ledger.destroy_body_keys,
    order_ledger.require_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_ledger.destroy_keys, order_ledger.destroy_body_keys,
    order_ledger.require_keys TO order_ledger_service;
