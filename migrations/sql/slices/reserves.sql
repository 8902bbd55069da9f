-- The emergency reserve: floors and alerts are only ever shortened, and normal dispatch may not go below a floor at any moment.
CALL fleet_keep('reserve_floor', 'reserve_alert');
-- A dispatcher of a district must know the floors and levels of the city above it, too.
CALL fleet_scope('reserve_floor', 'org_id IN (SELECT fleet_visible_orgs()) OR EXISTS (SELECT 1 FROM organisation o, organisation mine'
    ' WHERE o.id = org_id AND mine.id IN (SELECT fleet_visible_orgs()) AND starts_with(mine.path, o.path))');
CALL fleet_scope('reserve_alert', 'org_id IN (SELECT fleet_visible_orgs()) OR EXISTS (SELECT 1 FROM organisation o, organisation mine'
    ' WHERE o.id = org_id AND mine.id IN (SELECT fleet_visible_orgs()) AND starts_with(mine.path, o.path))');
ALTER POLICY scope ON reserve_floor WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
ALTER POLICY scope ON reserve_alert WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));

CREATE FUNCTION reserve_shortened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'during' IS DISTINCT FROM to_jsonb(OLD) - 'during' OR NOT NEW.during <@ OLD.during
       OR (NOT isempty(NEW.during) AND lower(NEW.during) <> lower(OLD.during)) THEN
        RAISE EXCEPTION '% of % stands as it was made: it can only end earlier', TG_TABLE_NAME, OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER shortened BEFORE UPDATE ON reserve_floor FOR EACH ROW EXECUTE FUNCTION reserve_shortened();
CREATE TRIGGER shortened BEFORE UPDATE ON reserve_alert FOR EACH ROW EXECUTE FUNCTION reserve_shortened();

CREATE FUNCTION reserve_rank(level text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT array_position(ARRAY['usual', 'IV', 'III', 'II', 'I'], level) - 1
$$;

-- The pool of an organisation: its nearest district, else the city.
CREATE FUNCTION reserve_pool(org bigint) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT above.id FROM organisation o JOIN organisation above ON starts_with(o.path, above.path)
    WHERE o.id = org AND (above.kind = 'district' OR above.parent_id IS NULL)
    ORDER BY length(above.path) DESC LIMIT 1
$$;

-- The vehicles that can serve as a pool's reserve of a body: in service, which a sealed or repaired one is not.
CREATE FUNCTION reserve_members(pool bigint, wanted text) RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce(array_agg(v.id), '{}') FROM vehicle v JOIN organisation o ON o.id = v.org_id JOIN organisation p ON p.id = pool
    WHERE v.state = 'IN_SERVICE' AND (wanted = 'any' OR v.body = wanted) AND starts_with(o.path, p.path) AND reserve_pool(o.id) = pool
$$;

-- When which of some vehicles is taken over a span.
CREATE FUNCTION reserve_busy(members bigint[], span tstzrange, except_assignment bigint, except_hold bigint)
RETURNS TABLE (vehicle_id bigint, during tstzrange) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT a.vehicle_id, a.during FROM assignment a
    WHERE a.state = 'ACTIVE' AND a.vehicle_id = ANY (members) AND a.during && span AND a.id IS DISTINCT FROM except_assignment
    UNION ALL
    SELECT h.vehicle_id, h.during FROM hold h
    WHERE h.released_at IS NULL AND h.vehicle_id = ANY (members) AND h.during && span AND h.id IS DISTINCT FROM except_hold
$$;

-- The floors of a pool for a body in force over a span, each with the piece of time it holds over.
CREATE FUNCTION reserve_floors(pool bigint, wanted text, span tstzrange)
RETURNS TABLE (body text, level text, vehicles integer, piece tstzrange) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT f.body, f.level, f.vehicles, piece.span * coalesce(a.during, 'empty')
    FROM reserve_floor f
    JOIN organisation p ON p.id = f.org_id
    CROSS JOIN LATERAL generate_series(date_trunc('day', lower(span) AT TIME ZONE 'Asia/Shanghai'),
                                       upper(span) AT TIME ZONE 'Asia/Shanghai', interval '1 day') AS day
    CROSS JOIN LATERAL (SELECT span * tstzrange((day + lower(f.minutes) * interval '1 minute') AT TIME ZONE 'Asia/Shanghai',
                                                (day + upper(f.minutes) * interval '1 minute') AT TIME ZONE 'Asia/Shanghai') AS span) AS piece
    JOIN LATERAL (
        SELECT '(,)'::tstzrange AS during WHERE f.level = 'usual'
        UNION ALL
        SELECT r.during FROM reserve_alert r JOIN organisation o ON o.id = r.org_id
        WHERE f.level <> 'usual' AND reserve_rank(r.level) >= reserve_rank(f.level) AND starts_with(p.path, o.path) AND r.during && span
    ) AS a ON true
    WHERE f.org_id = pool AND f.body IN (wanted, 'any') AND f.during @> day::date AND f.vehicles > 0 AND NOT isempty(piece.span * a.during)
$$;

-- What a booking of a vehicle over a span would leave free where that is too few: the worst moment, or no row. Vehicles free only
-- become fewer where a booking begins, so those moments and the beginnings of the floors' pieces are all there is to look at.
CREATE FUNCTION reserve_breach(vehicle bigint, span tstzrange, except_assignment bigint DEFAULT NULL, except_hold bigint DEFAULT NULL)
RETURNS TABLE (pool_id bigint, body text, floor integer, free integer, at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public SET jit = off AS $$
DECLARE
    pool bigint;
    kind text;
BEGIN
    IF lower_inf(span) OR upper_inf(span) OR isempty(span) THEN
        RAISE EXCEPTION 'a booking has a beginning and an end' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_during';
    END IF;
    SELECT reserve_pool(v.org_id), v.body INTO pool, kind FROM vehicle v WHERE v.id = vehicle AND v.state = 'IN_SERVICE';
    IF pool IS NULL OR NOT EXISTS (SELECT 1 FROM reserve_floor f WHERE f.org_id = pool) THEN
        RETURN; -- out of service it is no part of the reserve
    END IF;
    RETURN QUERY
        WITH floors AS MATERIALIZED (SELECT f.body, f.vehicles, f.piece FROM reserve_floors(pool, kind, span) f),
        members AS MATERIALIZED (SELECT b.body, reserve_members(pool, b.body) AS ids FROM (SELECT DISTINCT f.body FROM floors f) AS b),
        busy AS MATERIALIZED (
            SELECT m.body, b.vehicle_id, b.during FROM members m CROSS JOIN LATERAL reserve_busy(m.ids, span, except_assignment, except_hold) b
            UNION ALL SELECT m.body, vehicle, span FROM members m),
        moments AS (
            SELECT f.body, f.vehicles, lower(f.piece) AS moment FROM floors f
            UNION
            SELECT f.body, f.vehicles, lower(b.during) FROM floors f JOIN busy b ON b.body = f.body AND f.piece @> lower(b.during))
        SELECT pool, m.body, m.vehicles, left_over.free, m.moment
        FROM moments m JOIN members one ON one.body = m.body
        CROSS JOIN LATERAL (SELECT (cardinality(one.ids) - count(DISTINCT b.vehicle_id))::integer AS free
                            FROM busy b WHERE b.body = m.body AND b.during @> m.moment) AS left_over
        WHERE left_over.free < m.vehicles
        ORDER BY left_over.free - m.vehicles, m.moment, m.body LIMIT 1;
END $$;

-- The lock is the one that planning takes before it assigns: whoever writes rows by hand waits for it here.
CREATE FUNCTION assignment_reserve() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE short record;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM reserve_floor)
       OR (SELECT o.kind = 'emergency' AND o.purpose <> 'drill' FROM travel_order o WHERE o.id = NEW.order_id) THEN
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    SELECT b.*, o.name_zh INTO short FROM reserve_breach(NEW.vehicle_id, NEW.during, NEW.id, NULL) b JOIN organisation o ON o.id = b.pool_id;
    IF FOUND THEN
        RAISE EXCEPTION 'reserve of %: % of body % would be left at %, the floor is %', short.name_zh, short.free, short.body, short.at, short.floor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_reserve';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reserve_insert BEFORE INSERT ON assignment FOR EACH ROW WHEN (NEW.state = 'ACTIVE') EXECUTE FUNCTION assignment_reserve();
CREATE TRIGGER reserve_update BEFORE UPDATE OF state, during, vehicle_id, order_id ON assignment FOR EACH ROW
    WHEN (NEW.state = 'ACTIVE' AND (NEW.during, NEW.vehicle_id, NEW.order_id, NEW.state) IS DISTINCT FROM (OLD.during, OLD.vehicle_id, OLD.order_id, OLD.state))
    EXECUTE FUNCTION assignment_reserve();

-- Keeping a vehicle for an event or a loan takes it from the reserve as an order does; keeping it for an emergency is what the reserve is for.
CREATE FUNCTION hold_reserve() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE short record;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM reserve_floor) THEN
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    SELECT b.*, o.name_zh INTO short FROM reserve_breach(NEW.vehicle_id, NEW.during, NULL, NEW.id) b JOIN organisation o ON o.id = b.pool_id;
    IF FOUND THEN
        RAISE EXCEPTION 'reserve of %: % of body % would be left at %, the floor is %', short.name_zh, short.free, short.body, short.at, short.floor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_hold_reserve';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reserve BEFORE INSERT OR UPDATE OF vehicle_id, during, cause, released_at ON hold FOR EACH ROW
    WHEN (NEW.vehicle_id IS NOT NULL AND NEW.released_at IS NULL AND NEW.cause <> 'emergency') EXECUTE FUNCTION hold_reserve();

-- How every reserve stands at a moment: the highest floor in force of each pool and body, and what is free.
CREATE FUNCTION reserve_standing(moment timestamptz)
RETURNS TABLE (pool_id bigint, body text, floor integer, free integer, total integer) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public SET jit = off AS $$
    WITH span AS (SELECT tstzrange(moment, moment, '[]') AS at),
    highest AS (
        SELECT f.org_id AS pool, f.body, coalesce((SELECT max(r.vehicles) FROM span, reserve_floors(f.org_id, f.body, tstzrange(moment, moment + interval '1 second')) r
                                                   WHERE r.body = f.body AND r.piece @> moment), 0) AS floor
        FROM (SELECT DISTINCT x.org_id, x.body FROM reserve_floor x
              WHERE x.during @> (moment AT TIME ZONE 'Asia/Shanghai')::date) AS f),
    members AS MATERIALIZED (SELECT h.*, reserve_members(h.pool, h.body) AS ids FROM highest h)
    SELECT m.pool, m.body, m.floor, (cardinality(m.ids) - (SELECT count(DISTINCT b.vehicle_id) FROM span, reserve_busy(m.ids, span.at, NULL, NULL) b))::integer,
           cardinality(m.ids)
    FROM members m
$$;
