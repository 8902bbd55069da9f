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

-- What was approved stays what was approved: only state, server-side links and the closing reason may move on.
CREATE FUNCTION travel_order_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state NOT IN ('SUBMITTED', 'APPROVING') AND (NEW.approver_id, NEW.approved_at)
        IS DISTINCT FROM (OLD.approver_id, OLD.approved_at)
    OR OLD.state NOT IN ('SUBMITTED', 'SENT_BACK') AND (
        NEW.org_id, NEW.number, NEW.kind, NEW.purpose, NEW.reason, NEW.applicant_id, NEW.filed_by_id, NEW.passengers,
        NEW.passenger_count, NEW.contact, NEW.body, NEW.start_at, NEW.end_at, NEW.supplementary, NEW.created_at, NEW.pooling_ok,
        NEW.round_trip, NEW.area, NEW.route_m, NEW.luggage, NEW.series, NEW.occasion_id
    ) IS DISTINCT FROM (
        OLD.org_id, OLD.number, OLD.kind, OLD.purpose, OLD.reason, OLD.applicant_id, OLD.filed_by_id, OLD.passengers,
        OLD.passenger_count, OLD.contact, OLD.body, OLD.start_at, OLD.end_at, OLD.supplementary, OLD.created_at, OLD.pooling_ok,
        OLD.round_trip, OLD.area, OLD.route_m, OLD.luggage, OLD.series, OLD.occasion_id
    ) THEN
        RAISE EXCEPTION 'order % is decided: its content is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON travel_order FOR EACH ROW EXECUTE FUNCTION travel_order_frozen();

CREATE FUNCTION order_stop_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT o.state FROM travel_order o WHERE o.id = NEW.order_id) NOT IN ('SUBMITTED', 'SENT_BACK') THEN
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
