-- Events: steps are appended, an event goes its way once, its roster names what is kept for it, its orders name it while it is open.
CALL fleet_append_only('occasion_event');
REVOKE UPDATE ON occasion_event FROM fleet_app;
CALL fleet_keep('occasion_shift');
CALL fleet_scope('occasion_event', 'EXISTS (SELECT 1 FROM occasion o WHERE o.id = occasion_id)');
CALL fleet_scope('occasion_shift', 'org_id IN (SELECT fleet_visible_orgs())');
ALTER POLICY scope ON occasion WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));

CREATE FUNCTION occasion_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('PLANNED', 'ACTIVE'), ('PLANNED', 'CANCELLED'), ('ACTIVE', 'DONE'), ('ACTIVE', 'CANCELLED'))
       OR to_jsonb(NEW) - 'state' IS DISTINCT FROM to_jsonb(OLD) - 'state' THEN
        RAISE EXCEPTION 'event % cannot go from % to %, and its content stays', OLD.number, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state IN ('DONE', 'CANCELLED') AND EXISTS (
        SELECT 1 FROM hold h WHERE h.cause = 'occasion' AND h.cause_id = NEW.id AND h.released_at IS NULL) THEN
        RAISE EXCEPTION 'event % still keeps vehicles or drivers', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_occasion_released';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON occasion FOR EACH ROW EXECUTE FUNCTION occasion_guard();

CREATE FUNCTION hold_occasion() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM occasion o WHERE o.id = NEW.cause_id AND o.state IN ('PLANNED', 'ACTIVE')) THEN
        RAISE EXCEPTION 'event % is not open', NEW.cause_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_hold_occasion';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER occasion BEFORE INSERT ON hold FOR EACH ROW WHEN (NEW.cause = 'occasion') EXECUTE FUNCTION hold_occasion();

CREATE FUNCTION occasion_shift_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NEW.removed_at IS NULL AND (SELECT count(*) FROM hold h WHERE h.cause = 'occasion' AND h.cause_id = NEW.occasion_id
        AND h.released_at IS NULL AND (h.vehicle_id = NEW.vehicle_id OR h.driver_id = NEW.driver_id)) < 2 THEN
        RAISE EXCEPTION 'vehicle % or driver % is not kept for event %', NEW.vehicle_id, NEW.driver_id, NEW.occasion_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_occasion_shift_kept';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER kept BEFORE INSERT ON occasion_shift FOR EACH ROW EXECUTE FUNCTION occasion_shift_kept();

CREATE FUNCTION travel_order_occasion() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM occasion o JOIN organisation above ON above.id = o.org_id, organisation unit
                   WHERE o.id = NEW.occasion_id AND o.state IN ('PLANNED', 'ACTIVE') AND unit.id = NEW.org_id
                   AND starts_with(unit.path, above.path)) THEN
        RAISE EXCEPTION 'event % is over or of another part of the tree', NEW.occasion_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_travel_order_occasion';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER occasion_insert BEFORE INSERT ON travel_order FOR EACH ROW WHEN (NEW.occasion_id IS NOT NULL)
    EXECUTE FUNCTION travel_order_occasion();
CREATE TRIGGER occasion_update BEFORE UPDATE OF occasion_id ON travel_order FOR EACH ROW
    WHEN (NEW.occasion_id IS NOT NULL AND NEW.occasion_id IS DISTINCT FROM OLD.occasion_id) EXECUTE FUNCTION travel_order_occasion();
