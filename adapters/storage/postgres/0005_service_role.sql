-- The role that the service works as: it may read the log and append through the function, and owns
-- nothing but the read models, which can be made again.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'order_ledger_service') THEN
        CREATE ROLE order_ledger_service NOLOGIN;
    END IF;
    EXECUTE format('GRANT order_ledger_service TO %I', current_user);
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA order_ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA order_ledger TO order_ledger_service;
GRANT SELECT ON order_ledger.stored_events, order_ledger.deliveries, order_ledger.bodies,
    order_ledger.log_head, order_ledger.migrations TO order_ledger_service;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA order_ledger TO order_ledger_service;
