-- What was written stays, also for the owner: triggers refuse every other change.

CREATE FUNCTION order_ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.deliveries
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.bodies
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
