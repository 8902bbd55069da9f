-- Rows that may only be added, rows that may not be removed, and content that is frozen once approved.
CREATE FUNCTION fleet_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: rows here are superseded, never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- For tables whose rows may only be added, and for tables whose rows may change but not go.
CREATE PROCEDURE fleet_append_only(VARIADIC names text[]) LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION fleet_refuse()', name);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fleet_refuse()', name);
    END LOOP;
END $$;

CREATE PROCEDURE fleet_keep(VARIADIC names text[]) LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('CREATE TRIGGER keep BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION fleet_refuse()', name);
        EXECUTE format('CREATE TRIGGER keep_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fleet_refuse()', name);
    END LOOP;
END $$;

CALL fleet_append_only('audit_entry', 'order_event', 'duty_event', 'finding_event', 'export_record');
CALL fleet_keep('travel_order', 'order_stop', 'dispatch_slip', 'assignment', 'vehicle', 'terminal_binding', 'driver', 'trip',
                'trip_match', 'finding', 'plan_run', 'occasion', 'hold', 'user_account', 'organisation', 'number_series');

-- What of an order a change order may change, as text and numbers that do not depend on who reads them.
CREATE FUNCTION order_columns(o travel_order) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'start_at', to_char(o.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'end_at', to_char(o.end_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'passengers', o.passengers, 'passenger_count', o.passenger_count, 'contact', o.contact, 'body', o.body, 'area', o.area,
        'route_m', o.route_m)
$$;
CREATE FUNCTION order_stop_json(s order_stop) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', s.name, 'lat', ST_Y(s.point), 'lon', ST_X(s.point), 'tolerance_m', s.tolerance_m)
$$;
CREATE FUNCTION order_content(o travel_order) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT order_columns(o) || jsonb_build_object('stops', coalesce((
        SELECT jsonb_agg(order_stop_json(s) ORDER BY s.position) FROM order_stop s WHERE s.order_id = o.id AND s.ended_at IS NULL), '[]'))
$$;

-- An order is edited before its case is opened and after it was sent back; later its content is what was approved, or what
-- an approved change order says, word for word.
CREATE FUNCTION travel_order_frozen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE editable boolean := OLD.state = 'SENT_BACK' OR OLD.state = 'SUBMITTED' AND OLD.approval_case_id IS NULL;
BEGIN
    IF OLD.state NOT IN ('SUBMITTED', 'APPROVING') AND (NEW.approver_id, NEW.approved_at)
        IS DISTINCT FROM (OLD.approver_id, OLD.approved_at)
    OR OLD.state <> 'SUBMITTED' AND NEW.approval_case_id IS DISTINCT FROM OLD.approval_case_id
    OR OLD.approval_case_id IS NOT NULL AND (
        NEW.org_id, NEW.number, NEW.kind, NEW.applicant_id, NEW.filed_by_id, NEW.supplementary, NEW.created_at
    ) IS DISTINCT FROM (
        OLD.org_id, OLD.number, OLD.kind, OLD.applicant_id, OLD.filed_by_id, OLD.supplementary, OLD.created_at
    )
    OR NOT editable AND (
        NEW.org_id, NEW.number, NEW.kind, NEW.purpose, NEW.reason, NEW.applicant_id, NEW.filed_by_id, NEW.supplementary,
        NEW.created_at, NEW.pooling_ok, NEW.round_trip, NEW.luggage, NEW.series, NEW.occasion_id, NEW.wanted_vehicle_id
    ) IS DISTINCT FROM (
        OLD.org_id, OLD.number, OLD.kind, OLD.purpose, OLD.reason, OLD.applicant_id, OLD.filed_by_id, OLD.supplementary,
        OLD.created_at, OLD.pooling_ok, OLD.round_trip, OLD.luggage, OLD.series, OLD.occasion_id, OLD.wanted_vehicle_id
    )
    OR NOT editable AND order_columns(NEW) <> order_columns(OLD) AND NOT EXISTS (
        SELECT 1 FROM order_change c WHERE c.order_id = OLD.id AND c.state = 'APPROVED'
        AND c.before - 'stops' = order_columns(OLD) AND c.after - 'stops' = order_columns(NEW)
    ) THEN
        RAISE EXCEPTION 'order % is decided: its content is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON travel_order FOR EACH ROW EXECUTE FUNCTION travel_order_frozen();

CREATE FUNCTION order_stop_frozen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE o travel_order; change order_change;
BEGIN
    SELECT * INTO o FROM travel_order WHERE id = NEW.order_id;
    IF o.state = 'SENT_BACK' OR o.state = 'SUBMITTED' AND o.approval_case_id IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT * INTO change FROM order_change c WHERE c.order_id = o.id AND c.state = 'APPROVED' AND c.after -> 'stops' <> c.before -> 'stops';
    IF change.id IS NULL
       OR TG_OP = 'INSERT' AND (NEW.ended_at IS NOT NULL OR change.after -> 'stops' -> NEW.position IS DISTINCT FROM order_stop_json(NEW))
       OR TG_OP = 'UPDATE' AND (OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL
                                OR (NEW.order_id, NEW.position, order_stop_json(NEW)) IS DISTINCT FROM (OLD.order_id, OLD.position, order_stop_json(OLD))) THEN
        RAISE EXCEPTION 'order % is decided: its stops are frozen', NEW.order_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE INSERT OR UPDATE ON order_stop FOR EACH ROW EXECUTE FUNCTION order_stop_frozen();

-- A slip's number never changes; it can be made void once.
CREATE FUNCTION dispatch_slip_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.void_at IS NOT NULL OR (NEW.org_id, NEW.year, NEW.seq, NEW.number, NEW.issued_at, NEW.issued_by)
        IS DISTINCT FROM (OLD.org_id, OLD.year, OLD.seq, OLD.number, OLD.issued_at, OLD.issued_by) THEN
        RAISE EXCEPTION 'slip % is issued: it can only be made void, once', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON dispatch_slip FOR EACH ROW EXECUTE FUNCTION dispatch_slip_frozen();

-- A running number goes up by one: none is left out, none is given twice.
CREATE FUNCTION number_series_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.last <> 1 OR TG_OP = 'UPDATE' AND (NEW.key, NEW.last) IS DISTINCT FROM (OLD.key, OLD.last + 1) THEN
        RAISE EXCEPTION 'series %: numbers start at 1 and go up by one', NEW.key USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT OR UPDATE ON number_series FOR EACH ROW EXECUTE FUNCTION number_series_step();

-- A vehicle's odometer does not go back; a new meter begins where the change of meter on record says.
CREATE FUNCTION vehicle_odometer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.meter = OLD.meter + 1 AND EXISTS (SELECT 1 FROM meter_change c WHERE c.vehicle_id = NEW.id AND c.meter = NEW.meter
                                             AND c.start_m = NEW.odometer_m) THEN
        RETURN NEW;
    END IF;
    IF NEW.meter <> OLD.meter OR NEW.odometer_m < OLD.odometer_m THEN
        RAISE EXCEPTION 'odometer of % cannot go back from % m to % m', OLD.plate, OLD.odometer_m, NEW.odometer_m
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_odometer_back';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER odometer BEFORE UPDATE OF odometer_m, meter ON vehicle FOR EACH ROW EXECUTE FUNCTION vehicle_odometer();
