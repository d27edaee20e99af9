-- The deliveries whose body had a key of its own that was destroyed. They lie with the log and not
-- with the keys, so that an older file of keys brings none back.

CREATE TABLE order_ledger.destroyed_body_keys (
    partition integer NOT NULL,
    id        bigint  NOT NULL,
    PRIMARY KEY (partition, id)
);

-- Those that are gone already.
INSERT INTO order_ledger.destroyed_body_keys
SELECT d.partition, d.id FROM order_ledger.deliveries AS d
  JOIN order_ledger.bodies AS b ON b.partition = d.partition AND b.delivery_id = d.id
 WHERE d.outcome IN ('quarantined', 'ignored') AND d.replay_of IS NULL
   AND NOT EXISTS (SELECT FROM order_ledger.body_keys AS k
                    WHERE k.partition = d.partition AND k.id = d.id);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_ledger.destroyed_body_keys
    FOR EACH STATEMENT EXECUTE FUNCTION order_ledger.refuse_change();
GRANT SELECT ON order_ledger.destroyed_body_keys TO order_ledger_service;

-- A body's key that goes is remembered. (Keys of other deliveries, which a restore takes out of a
-- later file of keys, are none of this log's.)
CREATE FUNCTION order_ledger.remember_destroyed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    INSERT INTO destroyed_body_keys
    SELECT OLD.partition, OLD.id
     WHERE EXISTS (SELECT FROM deliveries AS d
                    WHERE d.partition = OLD.partition AND d.id = OLD.id)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER remember_destroyed AFTER DELETE ON order_ledger.body_keys
    FOR EACH ROW EXECUTE FUNCTION order_ledger.remember_destroyed();

-- And is not taken back.
CREATE FUNCTION order_ledger.leave_destroyed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, order_ledger, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM destroyed_body_keys AS gone
                WHERE gone.partition = NEW.partition AND gone.id = NEW.id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER leave_destroyed BEFORE INSERT ON order_ledger.body_keys
    FOR EACH ROW EXECUTE FUNCTION order_ledger.leave_destroyed();

REVOKE ALL ON FUNCTION order_ledger.remember_destroyed, order_ledger.leave_destroyed FROM PUBLIC;
