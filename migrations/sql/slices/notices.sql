-- Everybody reads their own; who tells somebody else of a matter may write the row but not read it back.
CALL fleet_keep('notice', 'notice_delivery');
ALTER TABLE notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notice FOR SELECT TO fleet_app USING (user_id = fleet_actor_id() OR fleet_sees_all());
CREATE POLICY read ON notice FOR UPDATE TO fleet_app USING (user_id = fleet_actor_id() OR fleet_sees_all());
CREATE POLICY tell ON notice FOR INSERT TO fleet_app WITH CHECK (true);
CALL fleet_scope('notice_preference', 'user_id = fleet_actor_id() OR fleet_sees_all()');
CALL fleet_scope('notice_address', 'user_id = fleet_actor_id() OR fleet_sees_all()');
GRANT DELETE ON notice_address TO fleet_app;
-- Deliveries hold no content: whoever looks after a unit sees how the notices to its people fared.
CALL fleet_scope('notice_delivery', 'fleet_sees_all() OR EXISTS (SELECT 1 FROM user_account u WHERE u.id = user_id AND u.org_id IN (SELECT fleet_visible_orgs()))');
-- Routes are everybody's to read and the whole city's to change.
CALL fleet_scope('notice_route', 'EXISTS (SELECT 1 FROM organisation o WHERE o.parent_id IS NULL AND o.id IN (SELECT fleet_visible_orgs()))');
CREATE POLICY known ON notice_route FOR SELECT TO fleet_app USING (true);

-- What was told stays as it was told; a notice is read once and gets its deliveries once.
CREATE FUNCTION notice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(NEW) - 'read_at' - 'routed_at') <> (to_jsonb(OLD) - 'read_at' - 'routed_at')
       OR OLD.routed_at IS NOT NULL AND NEW.routed_at IS DISTINCT FROM OLD.routed_at
       OR OLD.read_at IS NOT NULL AND NEW.read_at IS DISTINCT FROM OLD.read_at THEN
        RAISE EXCEPTION 'notice % was told: it can only be marked as read, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON notice FOR EACH ROW EXECUTE FUNCTION notice_frozen();

-- What went out is history; a delivery stays that of its notice, and a message keeps the key it has with the provider.
CREATE FUNCTION notice_delivery_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'SENT' OR (NEW.notice_id, NEW.user_id, NEW.code, NEW.channel, NEW.urgent, NEW.created_at)
       IS DISTINCT FROM (OLD.notice_id, OLD.user_id, OLD.code, OLD.channel, OLD.urgent, OLD.created_at)
       OR OLD.bundle IS NOT NULL AND NEW.bundle IS DISTINCT FROM OLD.bundle THEN
        RAISE EXCEPTION 'delivery % cannot be changed so', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON notice_delivery FOR EACH ROW EXECUTE FUNCTION notice_delivery_frozen();
