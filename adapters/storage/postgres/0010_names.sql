-- The names that registered orders go by, each one order's alone, and those under which parked news
-- waits. They follow from the events, so rows may go: when an order is registered anew, or when what
-- was parked has moved.

CREATE TABLE order_ledger.order_names (
    store    text    COLLATE "C" NOT NULL,
    name     text    COLLATE "C" NOT NULL,
    order_id text    COLLATE "C" NOT NULL,
    waits    boolean NOT NULL,
    PRIMARY KEY (store, order_id, name)
);
CREATE UNIQUE INDEX order_names_registered ON order_ledger.order_names (store, name) WHERE NOT waits;
CREATE INDEX order_names_by_name ON order_ledger.order_names (store, name);
-- The stores that have, or once had, a name: elsewhere no delivery has to be looked up.
CREATE TABLE order_ledger.naming_stores (store text COLLATE "C" PRIMARY KEY);

-- Keeps names of an order, called in the transaction that appends the events which give them. Raises
-- unique_violation where another registered order has one of them.
CREATE FUNCTION order_ledger.keep_names(
    p_store text, p_order_id text, p_names text[], p_waits boolean, p_anew boolean
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    IF p_anew THEN
        DELETE FROM order_names WHERE store = p_store AND order_id = p_order_id;
    END IF;
    INSERT INTO naming_stores VALUES (p_store) ON CONFLICT DO NOTHING;
    INSERT INTO order_names SELECT p_store, name, p_order_id, p_waits FROM unnest(p_names) AS name
    ON CONFLICT (store, order_id, name) DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION order_ledger.keep_names FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_ledger.keep_names TO order_ledger_service;
GRANT SELECT ON order_ledger.order_names, order_ledger.naming_stores TO order_ledger_service;
