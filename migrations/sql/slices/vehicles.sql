-- Papers of a vehicle: a wrong one is made void, once; nothing else of it changes.
CALL fleet_keep('vehicle_document');
CALL fleet_scope('vehicle_document', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');
ALTER POLICY scope ON vehicle_document WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));

CREATE FUNCTION vehicle_document_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.void_at IS NOT NULL OR to_jsonb(NEW) - '{void_at,void_reason}'::text[] IS DISTINCT FROM
        to_jsonb(OLD) - '{void_at,void_reason}'::text[] THEN
        RAISE EXCEPTION 'document % is on record: it can only be made void, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON vehicle_document FOR EACH ROW EXECUTE FUNCTION vehicle_document_frozen();

-- A new vehicle goes into service with registration, compulsory insurance, inspection, marking, terminal and designated parking,
-- each there or exempted for a recorded reason (the last four only).
CREATE FUNCTION vehicle_ready() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missing text;
BEGIN
    SELECT string_agg(needed, ', ') INTO missing
    FROM unnest(ARRAY['registration', 'compulsory_insurance', 'inspection', 'marking', 'terminal', 'parking']) AS needed
    WHERE NOT EXISTS (SELECT 1 FROM vehicle_document d WHERE d.vehicle_id = NEW.id AND d.kind = needed AND d.void_at IS NULL
                      AND d.valid_from <= current_date AND (d.valid_to IS NULL OR d.valid_to > current_date))
      AND NOT (needed = 'terminal' AND EXISTS (SELECT 1 FROM terminal_binding b WHERE b.vehicle_id = NEW.id AND upper_inf(b.during)))
      AND NOT (needed = 'parking' AND NEW.parking_id IS NOT NULL);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% cannot go into service, missing: %', NEW.plate, missing
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_ready';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ready BEFORE UPDATE OF state ON vehicle FOR EACH ROW
    WHEN (OLD.state = 'PREPARING' AND NEW.state = 'IN_SERVICE') EXECUTE FUNCTION vehicle_ready();

-- No journey beyond the last day of the compulsory insurance or inspection on record (道路交通安全法).
CREATE FUNCTION assignment_papers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM vehicle_document d WHERE d.vehicle_id = NEW.vehicle_id AND d.kind IN ('compulsory_insurance', 'inspection')
        AND d.void_at IS NULL GROUP BY d.kind
        HAVING max(coalesce(d.valid_to, 'infinity'::date)) <= (SELECT (o.end_at AT TIME ZONE 'Asia/Shanghai')::date FROM travel_order o WHERE o.id = NEW.order_id)
    ) THEN
        RAISE EXCEPTION 'insurance or inspection of vehicle % ends before the journey', NEW.vehicle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_papers';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER papers BEFORE INSERT ON assignment FOR EACH ROW WHEN (NEW.state = 'ACTIVE') EXECUTE FUNCTION assignment_papers();

-- Which plates, VINs and terminals are in use by active vehicles of any unit: no more than their unique indexes tell, but
-- before the attempt, so that a ledger of thousands can name the cell.
CREATE FUNCTION vehicle_identities_taken(plates text[], vins text[], phones text[]) RETURNS TABLE (kind text, value text, vin text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT 'plate', v.plate, v.vin FROM vehicle v WHERE v.state <> 'RETIRED' AND v.plate = ANY (plates)
    UNION ALL
    SELECT 'vin', v.vin, v.vin FROM vehicle v WHERE v.state <> 'RETIRED' AND v.vin = ANY (vins)
    UNION ALL
    SELECT 'terminal', t.phone, v.vin FROM gps_terminal t JOIN terminal_binding b ON b.terminal_id = t.id AND upper_inf(b.during)
    JOIN vehicle v ON v.id = b.vehicle_id WHERE t.phone = ANY (phones)
$$;

-- The odometer ledger: readings and changes of meter are appended. On one meter a later reading is never lower than an earlier one,
-- in whatever order they arrive; the vehicle's row is held meanwhile so that two that arrive together see each other.
CALL fleet_append_only('odometer_reading', 'meter_change');
REVOKE UPDATE ON odometer_reading, meter_change FROM fleet_app;
CALL fleet_scope('odometer_reading', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');
CALL fleet_scope('meter_change', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');
ALTER POLICY scope ON meter_change WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));

CREATE FUNCTION odometer_reading_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE before_m bigint; after_m bigint; earliest integer; latest integer;
BEGIN
    PERFORM 1 FROM vehicle v WHERE v.id = NEW.vehicle_id FOR NO KEY UPDATE;
    SELECT 1 + count(*) FILTER (WHERE c.at < NEW.at), 1 + count(*) INTO earliest, latest
    FROM meter_change c WHERE c.vehicle_id = NEW.vehicle_id AND c.at <= NEW.at;
    SELECT max(r.reading_m) FILTER (WHERE r.at < NEW.at), min(r.reading_m) FILTER (WHERE r.at > NEW.at) INTO before_m, after_m
    FROM odometer_reading r WHERE r.vehicle_id = NEW.vehicle_id AND r.meter = NEW.meter;
    IF NEW.meter NOT BETWEEN earliest AND latest OR NEW.reading_m < before_m OR NEW.reading_m > after_m THEN
        RAISE EXCEPTION 'reading % m on meter % of vehicle % does not lie between % and %', NEW.reading_m, NEW.meter, NEW.vehicle_id,
            coalesce(before_m::text, 'nothing'), coalesce(after_m::text, 'nothing')
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_odometer_reading_order';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT ON odometer_reading FOR EACH ROW EXECUTE FUNCTION odometer_reading_fits();

-- A change of meter comes after every reading on record; the last of the old meter is its end.
CREATE FUNCTION meter_change_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE last record;
BEGIN
    PERFORM 1 FROM vehicle v WHERE v.id = NEW.vehicle_id FOR NO KEY UPDATE;
    SELECT max(r.at) AS at, max(r.reading_m) FILTER (WHERE r.meter = NEW.meter - 1) AS reading_m INTO last
    FROM odometer_reading r WHERE r.vehicle_id = NEW.vehicle_id;
    IF NEW.meter <> 2 + (SELECT count(*) FROM meter_change c WHERE c.vehicle_id = NEW.vehicle_id) OR last.at > NEW.at
       OR last.reading_m IS DISTINCT FROM NEW.end_m THEN
        RAISE EXCEPTION 'meter % of vehicle % does not follow the readings on record', NEW.meter, NEW.vehicle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_odometer_reading_order';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT ON meter_change FOR EACH ROW EXECUTE FUNCTION meter_change_fits();

-- Every vehicle brings its first reading, so that the ledger and the registry never disagree.
CREATE FUNCTION vehicle_first_reading() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO odometer_reading (org_id, vehicle_id, meter, at, reading_m, source, created_at, created_by)
    VALUES (NEW.org_id, NEW.id, 1, NEW.created_at, NEW.odometer_m, 'import', NEW.created_at, fleet_actor_id());
    RETURN NULL;
END $$;
CREATE TRIGGER first_reading AFTER INSERT ON vehicle FOR EACH ROW EXECUTE FUNCTION vehicle_first_reading();
