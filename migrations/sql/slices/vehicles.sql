-- Papers of a vehicle: a wrong one is made void, once; nothing else of it changes.
CALL fleet_keep('vehicle_document');
CALL fleet_scope('vehicle_document', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');

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
