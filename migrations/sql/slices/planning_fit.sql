-- What no booking may be, whoever writes it: a vehicle out of service, of the wrong legal class, with too few seats or without
-- the range for the way there; a driver without the licence for the last day; driving hours without room for the rest the law
-- asks for. The service says the same earlier and in more words.
CREATE FUNCTION fleet_policy(wanted text, day date) RETURNS numeric LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT p.value FROM policy_value p
    WHERE p.code = wanted AND p.org_id IS NULL AND p.withdrawn_at IS NULL AND p.valid_from <= day AND (p.valid_to IS NULL OR p.valid_to > day)
    ORDER BY CASE p.scope WHEN 'national' THEN 0 WHEN 'province' THEN 1 ELSE 2 END LIMIT 1
$$;

-- Largest passenger vehicle of a licence by seats, driver included (公安部令第 162 号附件 1、GA 802-2019).
CREATE FUNCTION fleet_licence_seats(licence text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE licence WHEN 'A1' THEN 1000 WHEN 'B1' THEN 19 ELSE 9 END
$$;

CREATE FUNCTION assignment_fit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE o travel_order; v vehicle; d driver; against text;
BEGIN
    IF NEW.state <> 'ACTIVE' THEN
        RETURN NEW;
    END IF;
    SELECT * INTO STRICT o FROM travel_order WHERE id = NEW.order_id;
    SELECT * INTO STRICT v FROM vehicle WHERE id = NEW.vehicle_id;
    SELECT * INTO STRICT d FROM driver WHERE id = NEW.driver_id;
    against := CASE
        WHEN v.state NOT IN ('IN_SERVICE', 'SEALED') AND TG_OP = 'INSERT' THEN 'state'  -- the seal has a guard of its own
        -- 中办发〔2017〕71号: vehicles for dispatch of secret papers and for law enforcement serve nothing else.
        WHEN o.kind <> 'service' AND o.purpose NOT IN ('other', 'maintenance', 'fuel', 'charge', 'wash', 'repair', 'inspection_test', 'relocation')
             AND (v.category = 'JYTX' AND o.purpose <> 'documents'
                  OR v.category = 'ZFZQ' AND o.purpose NOT IN ('enforcement', 'inspection', 'emergency')) THEN 'purpose'
        WHEN o.passenger_count > v.seats - 1 THEN 'seats'
        WHEN v.energy = 'bev' AND v.range_km IS NOT NULL AND o.route_m > v.range_km * 1000 THEN 'range'
        WHEN v.seats > fleet_licence_seats(d.licence) THEN 'licence'
        WHEN d.licence_valid_to < (o.end_at AT TIME ZONE 'Asia/Shanghai')::date OR d.left_at IS NOT NULL THEN 'licence'
        WHEN assignment_rest_short(NEW, o) THEN 'rest'
    END;
    IF against IS NOT NULL THEN
        RAISE EXCEPTION 'vehicle % or driver % does not fit order %: %', v.plate, d.id, o.number, against
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_fit_' || against;
    END IF;
    RETURN NEW;
END $$;

-- Four hours of driving ask for twenty minutes of rest (道路交通安全法实施条例第 62 条第（七）项). Bookings of a driver with less
-- than that between them are one run; driving its ways at the highest speed allowed (120 km/h, 同条例第 78 条) takes at least so
-- long, and what is left of the run must hold the rests. Journeys shared by several orders count once, by their longest way.
CREATE FUNCTION assignment_rest_short(a assignment, o travel_order) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
DECLARE
    day date := (o.start_at AT TIME ZONE 'Asia/Shanghai')::date;
    most interval := fleet_policy('driver.continuous_max_h', day) * interval '1 hour';
    rest interval := fleet_policy('driver.rest_min', day) * interval '1 minute';
    short boolean;
BEGIN
    WITH journey AS (
        SELECT min(t.start_at) AS start_at, max(t.end_at) AS end_at, max(t.route_m) / 120000.0 * interval '1 hour' AS drive
        FROM (SELECT b.pool_key, w.start_at, w.end_at, coalesce(w.route_m, 0) AS route_m
              FROM assignment b JOIN travel_order w ON w.id = b.order_id
              WHERE b.driver_id = a.driver_id AND b.state = 'ACTIVE' AND b.id IS DISTINCT FROM a.id
                AND b.during && tstzrange(o.start_at - interval '2 days', o.end_at + interval '2 days')
              UNION ALL SELECT a.pool_key, o.start_at, o.end_at, coalesce(o.route_m, 0)) t
        GROUP BY t.pool_key
    ), marked AS (
        SELECT *, CASE WHEN start_at - max(end_at) OVER before < rest THEN 0 ELSE 1 END AS begins
        FROM journey WINDOW before AS (ORDER BY start_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), run AS (
        SELECT *, sum(begins) OVER (ORDER BY start_at) AS number FROM marked
    )
    SELECT bool_or(ceil(extract(epoch FROM drive) / extract(epoch FROM most)) > 1
                   AND length - drive < (ceil(extract(epoch FROM drive) / extract(epoch FROM most)) - 1) * rest) INTO short
    FROM (SELECT number, sum(drive) AS drive, max(end_at) - min(start_at) AS length FROM run GROUP BY number) r;
    RETURN coalesce(short, false);
END $$;

-- After the row: row-level security has the first word.
CREATE TRIGGER fit AFTER INSERT OR UPDATE OF state, vehicle_id, driver_id, during ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_fit();
