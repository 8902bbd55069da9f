-- What drivers paid: added to one's own open duty, made void once, never changed, closed when the journey is confirmed.
CALL fleet_keep('trip_expense');
CALL fleet_scope('trip_expense', 'org_id IN (SELECT fleet_visible_orgs()) OR EXISTS (SELECT 1 FROM assignment a WHERE a.id = assignment_id)');
ALTER POLICY scope ON trip_expense WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CREATE POLICY own_duty ON trip_expense AS RESTRICTIVE FOR INSERT TO fleet_app WITH CHECK (
    fleet_sees_all() OR driver_id IN (SELECT d.id FROM driver d WHERE d.user_id = fleet_actor_id()));

CREATE FUNCTION trip_expense_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM assignment a JOIN travel_order o ON o.id = a.order_id
        WHERE a.id = NEW.assignment_id AND a.state = 'ACTIVE' AND (a.org_id, a.driver_id) = (NEW.org_id, NEW.driver_id)
        AND o.state IN ('CHECKED_OUT', 'EN_ROUTE', 'RETURNED')) THEN
        RAISE EXCEPTION 'duty % takes no expenses of this driver now', NEW.assignment_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_trip_expense_open';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.void_at IS NOT NULL OR to_jsonb(NEW) - '{void_at,void_by,void_reason}'::text[]
                             IS DISTINCT FROM to_jsonb(OLD) - '{void_at,void_by,void_reason}'::text[]) THEN
        RAISE EXCEPTION 'expense % is on record: it can only be made void, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard AFTER INSERT OR UPDATE ON trip_expense FOR EACH ROW EXECUTE FUNCTION trip_expense_guard();
