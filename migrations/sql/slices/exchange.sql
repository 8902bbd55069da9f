-- Upward exchange: a version is what it was made as, goes through its states, and is told of by receipts that stay.
CALL fleet_keep('exchange_link', 'exchange_interface', 'exchange_cursor', 'exchange_outbox');
CALL fleet_append_only('exchange_receipt', 'exchange_replay');
REVOKE UPDATE ON exchange_receipt, exchange_replay FROM fleet_app;
CALL fleet_scope('exchange_outbox', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('exchange_receipt', 'org_id IS NULL OR org_id IN (SELECT fleet_visible_orgs())');

-- How interfaces do is everybody's to read who may open the page, and the whole city's to change.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['exchange_link', 'exchange_interface', 'exchange_cursor', 'exchange_replay'] LOOP
        CALL fleet_scope(name, 'fleet_sees_all() OR EXISTS (SELECT 1 FROM organisation o WHERE o.parent_id IS NULL'
            ' AND o.id IN (SELECT fleet_visible_orgs()))');
        EXECUTE format('CREATE POLICY known ON %I FOR SELECT TO fleet_app USING (true)', name);
    END LOOP;
END $$;

CREATE FUNCTION exchange_outbox_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - '{current,state,faults,tried,attempts,batch,leased_until,replay_id,settled_at}'::text[]
       IS DISTINCT FROM to_jsonb(OLD) - '{current,state,faults,tried,attempts,batch,leased_until,replay_id,settled_at}'::text[]
       OR NEW.current AND NOT OLD.current OR OLD.tried AND NOT NEW.tried OR NEW.attempts < OLD.attempts THEN
        RAISE EXCEPTION 'version % of the exchange is what it was made as', OLD.key USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('QUEUED', 'SENDING'), ('QUEUED', 'WITHHELD'), ('QUEUED', 'SUPERSEDED'),
        ('SENDING', 'QUEUED'), ('SENDING', 'ACCEPTED'), ('SENDING', 'REJECTED'), ('SENDING', 'SUPERSEDED'), ('SENDING', 'WITHHELD'),
        ('INVALID', 'QUEUED'), ('INVALID', 'WITHHELD'), ('INVALID', 'SUPERSEDED'),
        ('WITHHELD', 'QUEUED'), ('WITHHELD', 'INVALID'), ('WITHHELD', 'SUPERSEDED'),
        ('REJECTED', 'SUPERSEDED'), ('ACCEPTED', 'QUEUED'))
       OR OLD.state = 'ACCEPTED' AND NEW.state = 'QUEUED' AND NEW.replay_id IS NOT DISTINCT FROM OLD.replay_id THEN
        RAISE EXCEPTION 'version % cannot go from % to %', OLD.key, OLD.state, NEW.state USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON exchange_outbox FOR EACH ROW EXECUTE FUNCTION exchange_outbox_guard();
