-- Statistics: facts of use. Orders and kilometres belong to the unit that used the vehicle, days of a vehicle to its holder.

-- Orders whose window begins in the period. km is what was confirmed, else what was matched to the order; times are minutes.
-- duty_min are minutes between the office's hours of working days; on time is leaving the yard within the minutes allowed after the planned start.
CREATE FUNCTION stat_minutes(start timestamptz, until timestamptz, from_h numeric, to_h numeric) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(extract(epoch FROM least(until, stat_moment(d::date) + make_interval(hours => to_h::int))
        - greatest(start, stat_moment(d::date) + make_interval(hours => from_h::int))) / 60) FILTER (WHERE
        least(until, stat_moment(d::date) + make_interval(hours => to_h::int)) > greatest(start, stat_moment(d::date) + make_interval(hours => from_h::int))), 0)
    FROM generate_series(stat_day(start)::timestamp, stat_day(until)::timestamp, interval '1 day') AS d
    LEFT JOIN calendar_day c ON c."on" = d::date
    WHERE coalesce(c.kind = 'workday', extract(isodow FROM d) < 6)
$$;

-- Hours since midnight by the office's clock.
CREATE FUNCTION stat_clock(at timestamptz) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT extract(epoch FROM (at AT TIME ZONE 'Asia/Shanghai')::time) / 3600 $$;

CREATE FUNCTION stat_order(first date, until date, night_from numeric, night_to numeric, on_time_min numeric, duty_from numeric, duty_to numeric)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, state text, kind text, purpose text, level text, held_by text,
    submitted numeric, approved numeric, fulfilled numeric, outsourced numeric, lost numeric, withdrawn numeric, cancelled numeric,
    night numeric, rest numeric, holiday numeric, out_of_city numeric, pooled numeric, poolable numeric, emergency numeric, cross_level numeric,
    cross_area numeric, measured numeric, on_time numeric, late numeric, passengers numeric, seats numeric, passenger_km numeric, seat_km numeric,
    km numeric, saved_km numeric, approve_min numeric, dispatch_min numeric, duty_min numeric, response_min numeric, score numeric, rated numeric,
    wanted numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
WITH asked AS (
    SELECT o.* FROM travel_order o
    WHERE o.start_at >= stat_moment(first) AND o.start_at < stat_moment(until) AND o.org_id IN (SELECT fleet_visible_orgs())
), given AS (
    SELECT DISTINCT ON (a.order_id) a.order_id, a.id, a.vehicle_id, a.pool_key, a.assigned_at, a.state FROM assignment a JOIN asked o ON o.id = a.order_id
    ORDER BY a.order_id, (a.state = 'ACTIVE') DESC, a.id DESC
), shared AS (
    SELECT g.pool_key FROM given g WHERE g.state = 'ACTIVE' GROUP BY g.pool_key HAVING count(*) > 1
), out AS (
    SELECT e.assignment_id, min(e.at) AS at FROM duty_event e JOIN given g ON g.id = e.assignment_id WHERE e.action = 'CHECK_OUT' GROUP BY e.assignment_id
), matched AS (
    SELECT m.order_id, sum(m.distance_m) AS metres FROM trip_match m JOIN asked o ON o.id = m.order_id
    WHERE m.superseded_at IS NULL AND m.kind IN ('matched', 'weak') GROUP BY m.order_id
), lapsed AS (
    SELECT DISTINCT e.order_id FROM order_event e JOIN asked o ON o.id = e.order_id WHERE e.action = 'lapse' AND e.from_state = 'APPROVED'
)
SELECT o.org_id, 'order:' || o.id, o.number, stat_day(o.start_at), o.purpose, g.vehicle_id, o.state, o.kind, o.purpose,
       CASE WHEN o.serving_org_id IS NULL THEN 'none' WHEN o.serving_org_id = o.org_id THEN 'own' WHEN d.same THEN 'district' WHEN d.city THEN 'city'
            ELSE 'other' END, coalesce(h.code, ''),
       1::numeric, (o.approved_at IS NOT NULL)::int::numeric, f.done, (o.state = 'OUTSOURCED' OR b.order_id IS NOT NULL)::int::numeric, l.lost,
       (o.state = 'WITHDRAWN')::int::numeric, (o.state IN ('CANCELLED', 'NO_SHOW'))::int::numeric,
       f.done * (t.hour >= night_from OR t.hour < night_to)::int, f.done * coalesce(c.kind <> 'workday', t.dow >= 6)::int,
       f.done * coalesce(c.kind = 'holiday', false)::int, f.done * coalesce(o.area IN ('province', 'beyond'), false)::int,
       f.done * (s.pool_key IS NOT NULL)::int, f.done * (o.pooling_ok OR s.pool_key IS NOT NULL)::int, (o.kind = 'emergency')::int::numeric,
       f.done * coalesce(d.city AND o.serving_org_id <> o.org_id, false)::int,
       f.done * coalesce(NOT d.same AND NOT d.city AND o.serving_org_id <> o.org_id, false)::int,
       f.done * (u.at IS NOT NULL)::int, f.done * coalesce(u.at <= o.start_at + make_interval(mins => on_time_min::int), false)::int,
       f.done * coalesce(u.at > o.start_at + make_interval(mins => on_time_min::int), false)::int, f.done * o.passenger_count,
       f.done * coalesce(v.seats - 1, 0), f.done * k.km * o.passenger_count, f.done * k.km * coalesce(v.seats - 1, 0), f.done * k.km,
       CASE WHEN s.pool_key IS NULL OR o.route_m IS NULL THEN 0 ELSE f.done * greatest(o.route_m / 1000.0 - k.km, 0) END,
       CASE WHEN o.approved_at IS NULL THEN NULL ELSE a.minutes END,
       CASE WHEN g.state = 'ACTIVE' AND o.approved_at IS NOT NULL THEN greatest(extract(epoch FROM g.assigned_at - o.approved_at) / 60, 0) END,
       f.done * z.minutes,
       CASE WHEN o.kind = 'emergency' THEN extract(epoch FROM u.at - o.created_at) / 60 END,
       coalesce((r.punctual + r.driving + r.service + r.cleanliness + r.safety) / 5.0, 0), (r.punctual IS NOT NULL)::int::numeric, f.done + l.lost
FROM asked o
LEFT JOIN given g ON g.order_id = o.id LEFT JOIN vehicle v ON v.id = g.vehicle_id LEFT JOIN shared s ON s.pool_key = g.pool_key
LEFT JOIN out u ON u.assignment_id = g.id LEFT JOIN matched m ON m.order_id = o.id LEFT JOIN mileage_confirmation mc ON mc.order_id = o.id
LEFT JOIN lapsed x ON x.order_id = o.id LEFT JOIN fallback b ON b.order_id = o.id LEFT JOIN trip_rating r ON r.order_id = o.id
LEFT JOIN organisation mine ON mine.id = o.org_id LEFT JOIN organisation h ON h.id = o.serving_org_id
LEFT JOIN calendar_day c ON c."on" = stat_day(o.start_at) LEFT JOIN calendar_day n ON n."on" = stat_day(o.created_at)
-- Within one day, which is nearly always, the minutes are reckoned at once.
CROSS JOIN LATERAL (SELECT CASE WHEN stat_day(o.start_at) <> stat_day(o.end_at) THEN stat_minutes(o.start_at, o.end_at, duty_from, duty_to)
    WHEN coalesce(c.kind = 'workday', extract(isodow FROM stat_day(o.start_at)) < 6)
    THEN greatest(least(stat_clock(o.end_at), duty_to) - greatest(stat_clock(o.start_at), duty_from), 0) * 60 ELSE 0 END AS minutes) z
CROSS JOIN LATERAL (SELECT CASE WHEN stat_day(o.created_at) <> stat_day(o.approved_at) THEN stat_minutes(o.created_at, o.approved_at, duty_from, duty_to)
    WHEN coalesce(n.kind = 'workday', extract(isodow FROM stat_day(o.created_at)) < 6)
    THEN greatest(least(stat_clock(o.approved_at), duty_to) - greatest(stat_clock(o.created_at), duty_from), 0) * 60 ELSE 0 END AS minutes) a
CROSS JOIN LATERAL (SELECT extract(hour FROM o.start_at AT TIME ZONE 'Asia/Shanghai') AS hour, extract(isodow FROM o.start_at AT TIME ZONE 'Asia/Shanghai') AS dow) t
CROSS JOIN LATERAL (SELECT (o.state IN ('RETURNED', 'MILEAGE_CONFIRMED', 'SETTLED', 'CLOSED') AND g.state = 'ACTIVE')::int::numeric AS done) f
CROSS JOIN LATERAL (SELECT (coalesce(b.reason IN ('none_free', 'none_suitable', 'no_driver', 'declined'), false) OR x.order_id IS NOT NULL
    OR (o.state = 'CANCELLED' AND o.approved_at IS NOT NULL AND g.order_id IS NULL))::int::numeric AS lost) l
CROSS JOIN LATERAL (SELECT round(coalesce(mc.confirmed_m, m.metres, 0)::numeric / 1000, 3) AS km) k
-- Same district: both paths share their second node; of the city: the holder hangs on the top itself.
CROSS JOIN LATERAL (SELECT split_part(mine.path, '/', 3) = split_part(h.path, '/', 3) AND split_part(h.path, '/', 3) <> '' AS same,
    NOT EXISTS (SELECT FROM organisation w WHERE w.kind = 'district' AND starts_with(h.path, w.path)) AS city) d
$$;

-- Parts of trips that begin in the period, at the unit whose order they served, else at the holder; km by the best method.
CREATE FUNCTION stat_drive(first date, until date)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, match text, energy text, km numeric, matched_km numeric, unmatched_km numeric,
    parts numeric, covered_km numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce(o.org_id, t.org_id), CASE v.secrecy WHEN 'normal' THEN 'trip:' || t.id ELSE 'hidden' END, stat_plate(v.plate, v.secrecy),
           stat_day(m.start_at), coalesce(o.number, ''), t.vehicle_id, m.kind, v.energy, round(m.distance_m::numeric / 1000, 3),
           round((CASE WHEN m.kind IN ('matched', 'weak') THEN m.distance_m ELSE 0 END)::numeric / 1000, 3),
           round((CASE WHEN m.kind IN ('matched', 'weak') THEN 0 ELSE m.distance_m END)::numeric / 1000, 3), 1::numeric,
           round((m.distance_m * t.coverage)::numeric / 1000, 3)
    FROM trip t JOIN trip_match m ON m.trip_id = t.id AND m.superseded_at IS NULL JOIN vehicle v ON v.id = t.vehicle_id
    LEFT JOIN travel_order o ON o.id = m.order_id AND m.kind IN ('matched', 'weak')
    WHERE t.superseded_at IS NULL AND t.start_at >= stat_moment(first) AND t.start_at < stat_moment(until)
      AND coalesce(o.org_id, t.org_id) IN (SELECT fleet_visible_orgs())
$$;

-- One row for every holding in the period: its days, those it could be used (neither in a workshop nor sealed), those it was used,
-- and at how many ends of months it was there (points out of all, which average gives).
CREATE FUNCTION stat_use(first date, until date, duty_from numeric, duty_to numeric)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, category text, energy text, days numeric, available_days numeric,
    used_days numeric, repair_days numeric, sealed_days numeric, average numeric, duty_min numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
WITH held AS (
    SELECT h.org_id, h.vehicle_id, daterange(greatest(h.came_on, first), least(coalesce(h.left_on, until), until)) AS days
    FROM stat_holding() h
    WHERE h.org_id IN (SELECT fleet_visible_orgs()) AND h.came_on < until AND (h.left_on IS NULL OR h.left_on > greatest(first, h.came_on))
), points AS (
    SELECT least((m + interval '1 month')::date, until) - 1 AS day FROM generate_series(date_trunc('month', first)::timestamp, (until - 1)::timestamp, interval '1 month') m
), shop AS (
    SELECT w.vehicle_id, range_agg(daterange(stat_day(lower(w.during)), stat_day(coalesce(upper(w.during), stat_moment(until))), '[]')) AS days
    FROM work_order w WHERE w.during && tstzrange(stat_moment(first), stat_moment(until)) GROUP BY w.vehicle_id
), sealed AS (
    SELECT r.vehicle_id, range_agg(daterange(stat_day(r.sealed_at), greatest(coalesce(stat_day(r.unsealed_at), until), stat_day(r.sealed_at)))) AS days
    FROM seal_record r WHERE r.sealed_at < stat_moment(until) GROUP BY r.vehicle_id
), drove AS (
    SELECT t.vehicle_id, stat_day(t.start_at) AS day FROM trip t
    WHERE t.superseded_at IS NULL AND t.start_at >= stat_moment(first) AND t.start_at < stat_moment(until)
    UNION
    SELECT a.vehicle_id, stat_day(e.at) FROM duty_event e JOIN assignment a ON a.id = e.assignment_id
    WHERE e.action = 'CHECK_OUT' AND e.at >= stat_moment(first) AND e.at < stat_moment(until)
), duty AS (
    SELECT d::date AS day FROM generate_series(first::timestamp, (until - 1)::timestamp, interval '1 day') d
    LEFT JOIN calendar_day c ON c."on" = d::date WHERE coalesce(c.kind = 'workday', extract(isodow FROM d) < 6)
), free AS (
    SELECT h.org_id, h.vehicle_id, h.days AS held, datemultirange(h.days) - coalesce(s.days, '{}') - coalesce(z.days, '{}') AS days,
           datemultirange(h.days) * coalesce(s.days, '{}') AS shopped, datemultirange(h.days) * coalesce(z.days, '{}') AS shut
    FROM held h LEFT JOIN shop s ON s.vehicle_id = h.vehicle_id LEFT JOIN sealed z ON z.vehicle_id = h.vehicle_id
    WHERE NOT isempty(h.days)
), used AS (
    SELECT f.org_id, f.vehicle_id, f.held, count(*)::numeric AS n FROM free f JOIN drove d ON d.vehicle_id = f.vehicle_id AND f.days @> d.day
    GROUP BY f.org_id, f.vehicle_id, f.held
)
SELECT f.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), lower(f.held), f.held::text, v.id, v.category, v.energy,
       (upper(f.held) - lower(f.held))::numeric, (SELECT coalesce(sum(upper(r) - lower(r)), 0)::numeric FROM unnest(f.days) r), coalesce(u.n, 0),
       (SELECT coalesce(sum(upper(r) - lower(r)), 0)::numeric FROM unnest(f.shopped) r),
       (SELECT coalesce(sum(upper(r) - lower(r)), 0)::numeric FROM unnest(f.shut) r),
       (SELECT count(*) FROM points p WHERE f.held @> p.day)::numeric / greatest((SELECT count(*) FROM points), 1),
       (SELECT count(*) FROM duty d WHERE f.days @> d.day) * (duty_to - duty_from) * 60
FROM free f JOIN vehicle v ON v.id = f.vehicle_id
LEFT JOIN used u ON u.org_id = f.org_id AND u.vehicle_id = f.vehicle_id AND u.held = f.held
$$;
