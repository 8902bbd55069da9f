-- Favourite trips are their owner's alone. What a form asks of the pool leaves as figures: an applicant sees neither the
-- vehicles nor the orders of other units, only how many vehicles are free and that a unit drives the same way.
GRANT DELETE ON favourite_trip TO fleet_app;
CALL fleet_scope('favourite_trip', 'user_id = fleet_actor_id()');

-- The level of a path: its district, else the city (sharing.rules.pool_of).
CREATE FUNCTION fleet_level(given text) RETURNS text LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT coalesce((SELECT d.path FROM organisation d WHERE d.kind = 'district' AND starts_with(given, d.path)
                     ORDER BY length(d.path) DESC LIMIT 1), '/' || split_part(given, '/', 2) || '/')
$$;

-- Who may give a vehicle to a unit of the actor's part of the tree (sharing.rules.lends); nobody for another unit.
CREATE FUNCTION fleet_pool(unit bigint) RETURNS SETOF bigint LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT holder.id FROM organisation mine, organisation holder
    WHERE mine.id = unit AND unit IN (SELECT fleet_visible_orgs()) AND (
        fleet_level(holder.path) = fleet_level(mine.path)
        OR holder.kind = 'operator' AND starts_with(mine.path, fleet_level(holder.path)))
$$;

-- How many vehicles of a unit's pool fit, how many of them are free over a span, and, when none is, from when one is.
CREATE FUNCTION fleet_free_vehicles(unit bigint, wanted tstzrange, bodies text[], least_seats integer, horizon interval)
RETURNS TABLE (fitting bigint, free bigint, earliest_at timestamptz) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    WITH fit AS MATERIALIZED (
        SELECT v.id FROM vehicle v WHERE v.state = 'IN_SERVICE' AND v.body = ANY (bodies) AND v.seats >= least_seats
        AND v.org_id IN (SELECT fleet_pool(unit))
    ), taken AS MATERIALIZED (
        SELECT a.vehicle_id, a.during FROM assignment a WHERE a.state = 'ACTIVE' AND a.vehicle_id IN (SELECT id FROM fit)
        AND a.during && tstzrange(lower(wanted), upper(wanted) + horizon)
        UNION ALL
        SELECT h.vehicle_id, h.during FROM hold h WHERE h.released_at IS NULL AND h.vehicle_id IN (SELECT id FROM fit)
        AND h.during && tstzrange(lower(wanted), upper(wanted) + horizon)
    ), counted AS (
        SELECT count(*) AS fitting,
               count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM taken t WHERE t.vehicle_id = fit.id AND t.during && wanted)) AS free
        FROM fit
    )
    SELECT counted.fitting, counted.free, CASE WHEN counted.free = 0 THEN (
        SELECT upper(t.during) FROM taken t
        WHERE upper(t.during) BETWEEN lower(wanted) AND lower(wanted) + horizon AND EXISTS (
            SELECT 1 FROM fit WHERE NOT EXISTS (
                SELECT 1 FROM taken o WHERE o.vehicle_id = fit.id
                AND o.during && tstzrange(upper(t.during), upper(t.during) + (upper(wanted) - lower(wanted)))))
        ORDER BY upper(t.during) LIMIT 1) END
    FROM counted
$$;

-- Journeys of the pool's units that start about the same time near the same places and would take somebody along.
-- Confidential and enforcement journeys never show; of the others only the unit, the time and the way are told.
CREATE FUNCTION fleet_partners(unit bigint, start_at timestamptz, within interval, origin geometry, destination geometry, near_m double precision)
RETURNS TABLE (org_id bigint, start_at timestamptz, people integer, body text, origin_lon double precision, origin_lat double precision,
               destination_lon double precision, destination_lat double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT o.org_id, o.start_at, o.passenger_count, o.body, ST_X(a.point), ST_Y(a.point), ST_X(z.point), ST_Y(z.point)
    FROM travel_order o
    JOIN order_stop a ON a.order_id = o.id AND a.position = 0
    JOIN LATERAL (SELECT s.point FROM order_stop s WHERE s.order_id = o.id ORDER BY s.position DESC LIMIT 1) z ON true
    WHERE o.start_at BETWEEN fleet_partners.start_at - within AND fleet_partners.start_at + within
    AND o.state IN ('SUBMITTED', 'APPROVING', 'APPROVED') AND o.kind = 'ordinary' AND o.pooling_ok
    AND o.applicant_id IS DISTINCT FROM fleet_actor_id() AND o.org_id IN (SELECT fleet_pool(unit))
    AND ST_DWithin(a.point::geography, fleet_partners.origin::geography, near_m)
    AND ST_DWithin(z.point::geography, fleet_partners.destination::geography, near_m)
    ORDER BY abs(extract(epoch FROM o.start_at - fleet_partners.start_at)), o.id LIMIT 5
$$;
