-- Costs: entries are made void once and never changed; the order they name was driven by their vehicle.
CALL fleet_keep('cost_entry');
CALL fleet_scope('cost_entry', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION cost_entry_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM assignment a WHERE a.order_id = NEW.order_id AND a.vehicle_id = NEW.vehicle_id) THEN
        RAISE EXCEPTION 'order % was not driven by vehicle %', NEW.order_id, NEW.vehicle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_cost_entry_order';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON cost_entry FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION cost_entry_guard();

CREATE FUNCTION cost_entry_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.void_at IS NOT NULL OR to_jsonb(NEW) - '{void_at,void_by,void_reason,attachment_id}'::text[] IS DISTINCT FROM
        to_jsonb(OLD) - '{void_at,void_by,void_reason,attachment_id}'::text[] OR (OLD.attachment_id IS NOT NULL AND NEW.attachment_id IS DISTINCT FROM OLD.attachment_id) THEN
        RAISE EXCEPTION 'cost % is on record: it can only be made void, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON cost_entry FOR EACH ROW EXECUTE FUNCTION cost_entry_frozen();
