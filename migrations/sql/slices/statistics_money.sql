-- Statistics: facts of money, energy, safety, supervision, terminals and settlement.

-- Every cost once, as the pages of costs count it: entries by hand, purchases, fillings, accepted work, papers with a fee, losses.
-- detail tells compulsory from commercial insurance; CNY.
CREATE FUNCTION stat_cost(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, kind text, detail text, share text, amount numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
WITH every AS (
    SELECT c.org_id, c.vehicle_id, c."on" AS day, c.kind, c.kind AS detail, c.amount, coalesce(c.document_no, c.explanation, '') AS note
    FROM cost_entry c WHERE c.void_at IS NULL AND c."on" >= first AND c."on" < until
    UNION ALL
    SELECT v.org_id, v.id, coalesce(v.acquired_on, v.registered_on), p.kind, p.kind, p.amount, ''
    FROM vehicle v CROSS JOIN LATERAL (VALUES ('purchase', v.price_ex_tax), ('purchase_tax', v.purchase_tax)) p(kind, amount)
    WHERE v.acquired_by = 'purchase' AND p.amount > 0 AND coalesce(v.acquired_on, v.registered_on) >= first AND coalesce(v.acquired_on, v.registered_on) < until
    UNION ALL
    SELECT e.org_id, e.vehicle_id, stat_day(e.at), CASE e.kind WHEN 'fuel' THEN 'fuel' ELSE 'charging' END,
           CASE e.kind WHEN 'fuel' THEN 'fuel' ELSE 'charging' END, e.amount, coalesce(e.station, '')
    FROM energy_entry e WHERE e.void_at IS NULL AND e.at >= stat_moment(first) AND e.at < stat_moment(until)
    UNION ALL
    SELECT w.org_id, w.vehicle_id, stat_day(w.accepted_at), p.kind, p.kind, p.amount, w.number
    FROM work_order w
    LEFT JOIN LATERAL (SELECT coalesce(sum(l.amount), 0) AS amount FROM work_line l WHERE l.order_id = w.id AND l.kind = 'tyre') t ON true
    CROSS JOIN LATERAL (VALUES ('tyres', CASE w.kind WHEN 'tyres' THEN w.final_cost ELSE t.amount END),
                               (w.kind, CASE w.kind WHEN 'tyres' THEN 0 ELSE w.final_cost - t.amount END)) p(kind, amount)
    WHERE w.accepted_at >= stat_moment(first) AND w.accepted_at < stat_moment(until) AND p.amount <> 0
    UNION ALL
    SELECT d.org_id, d.vehicle_id, d.valid_from, CASE WHEN d.kind IN ('compulsory_insurance', 'commercial_insurance') THEN 'insurance'
               WHEN d.kind = 'inspection' THEN 'inspection' ELSE 'other' END, d.kind, d.fee, coalesce(d.number, '')
    FROM vehicle_document d WHERE d.fee > 0 AND d.void_at IS NULL AND d.valid_from >= first AND d.valid_from < until
    UNION ALL
    SELECT i.org_id, i.vehicle_id, stat_day(i.happened_at), 'accident', 'accident', i.loss, i.place
    FROM vehicle_incident i WHERE i.kind = 'accident' AND i.loss > 0 AND i.happened_at >= stat_moment(first) AND i.happened_at < stat_moment(until)
)
SELECT e.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), e.day, concat_ws(' · ', e.detail, nullif(e.note, '')), v.id, e.kind, e.detail,
       CASE WHEN e.kind IN ('purchase', 'purchase_tax') THEN 'purchase' ELSE 'running' END, e.amount
FROM every e JOIN vehicle v ON v.id = e.vehicle_id WHERE e.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Fillings and chargings; factors are the energy figures of the year as {"energy.petrol_kg_l": ...}.
CREATE FUNCTION stat_energy(first date, until date, factors jsonb)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, energy text, carrier text, litres numeric, kwh numeric, amount numeric,
    kgce numeric, co2_kg numeric, fuel_amount numeric, charge_amount numeric, phev_kwh numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT e.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), stat_day(e.at), coalesce(e.station, ''), v.id, v.energy, c.carrier,
           CASE e.kind WHEN 'fuel' THEN e.quantity ELSE 0 END, CASE e.kind WHEN 'charge' THEN e.quantity ELSE 0 END, e.amount,
           e.quantity * CASE c.carrier WHEN 'electricity' THEN (factors ->> 'energy.electricity_kgce_kwh')::numeric
               ELSE (factors ->> ('energy.' || c.carrier || '_kg_l'))::numeric * (factors ->> ('energy.' || c.carrier || '_kgce_kg'))::numeric END,
           e.quantity * CASE c.carrier WHEN 'electricity' THEN (factors ->> 'energy.grid_co2_kg_kwh')::numeric
               ELSE (factors ->> ('energy.' || c.carrier || '_co2_kg_l'))::numeric END,
           CASE e.kind WHEN 'fuel' THEN e.amount ELSE 0 END, CASE e.kind WHEN 'charge' THEN e.amount ELSE 0 END,
           CASE WHEN e.kind = 'charge' AND v.energy = 'phev' THEN e.quantity ELSE 0 END
    FROM energy_entry e JOIN vehicle v ON v.id = e.vehicle_id
    CROSS JOIN LATERAL (SELECT CASE WHEN e.kind = 'charge' THEN 'electricity' WHEN v.energy = 'diesel' THEN 'diesel' ELSE 'petrol' END AS carrier) c
    WHERE e.void_at IS NULL AND e.at >= stat_moment(first) AND e.at < stat_moment(until) AND e.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Accidents and violations; a violation not handled for more than 30 days before the end is overdue.
CREATE FUNCTION stat_incident(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, kind text, liability text, accidents numeric,
    own_fault numeric, loss numeric, violations numeric, fines numeric, points numeric, overdue numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT i.org_id, 'incident:' || i.id, stat_plate(v.plate, v.secrecy), stat_day(i.happened_at), i.place, v.id, i.kind, coalesce(i.liability, ''),
           (i.kind = 'accident')::int::numeric, coalesce(i.liability IN ('equal', 'major', 'full'), false)::int::numeric, coalesce(i.loss, 0),
           (i.kind = 'violation')::int::numeric, coalesce(i.fine, 0), coalesce(i.points, 0)::numeric,
           (i.kind = 'violation' AND i.happened_at < stat_moment(until - 30) AND (i.closed_at IS NULL OR i.closed_at >= stat_moment(until)))::int::numeric
    FROM vehicle_incident i JOIN vehicle v ON v.id = i.vehicle_id
    WHERE i.happened_at >= stat_moment(first) AND i.happened_at < stat_moment(until) AND i.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Clues detected in the period, merged and suppressed ones aside; days are from detection to conclusion.
CREATE FUNCTION stat_finding(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, family text, severity text, state text, clues numeric,
    serious numeric, cleared numeric, explained numeric, procedural numeric, confirmed numeric, referred numeric, device numeric, open numeric, due numeric,
    in_time numeric, days numeric, concluded numeric, driving numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT f.org_id, CASE v.secrecy WHEN 'normal' THEN 'finding:' || f.id ELSE 'hidden' END, f.number, stat_day(f.detected_at), f.rule, v.id,
           split_part(f.rule, '-', 1), f.severity, f.state, 1::numeric, (f.severity IN ('orange', 'red'))::int::numeric, (r.result = 'CLEARED')::int::numeric,
           (f.explanation IS NOT NULL OR EXISTS (SELECT FROM case_event e WHERE e.case_id = f.case_id AND e.action = 'explain'))::int::numeric,
           (r.result = 'PROCEDURAL')::int::numeric, (r.result = 'CONFIRMED')::int::numeric,
           (r.result = 'REFERRED')::int::numeric, (r.result = 'DEVICE')::int::numeric, (r.result IS NULL)::int::numeric,
           (f.due_at < stat_moment(until))::int::numeric, (f.due_at < stat_moment(until) AND coalesce(r.at, 'infinity') <= f.due_at)::int::numeric,
           CASE WHEN r.at IS NULL THEN NULL ELSE (stat_day(r.at) - stat_day(f.detected_at))::numeric END, (r.result IS NOT NULL)::int::numeric,
           (f.rule LIKE 'J-%')::int::numeric
    FROM finding f JOIN vehicle v ON v.id = f.vehicle_id LEFT JOIN finding_case c ON c.id = f.case_id
    CROSS JOIN LATERAL (SELECT coalesce(c.outcome, CASE WHEN f.state IN ('CLEARED', 'PROCEDURAL', 'DEVICE', 'CONFIRMED', 'REFERRED') THEN f.state END) AS result,
                               coalesce(c.decided_at, f.closed_at) AS at) r
    WHERE f.state NOT IN ('MERGED', 'SUPPRESSED') AND f.detected_at >= stat_moment(first) AND f.detected_at < stat_moment(until)
      AND f.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Charges of journeys that began in the period, at the paying unit; what is not paid is told by the age of its statement at the end.
CREATE FUNCTION stat_charge(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, kind text, pair text, provider text, journeys numeric, km numeric,
    amount numeric, paid numeric, unpaid numeric, unpaid_90 numeric, hired numeric, hired_amount numeric, priced numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT c.org_id, 'order:' || c.order_id, o.number, stat_day(c.start_at), coalesce(s.number, c.supplier, ''), c.vehicle_id, c.kind,
           payer.name_zh || ' → ' || coalesce(h.name_zh, c.supplier, '–'), coalesce(h.code, ''), 1::numeric, round(c.distance_m / 1000.0, 3), a.amount,
           a.amount * p.done, a.amount * (1 - p.done) * (c.kind = 'paid')::int,
           a.amount * (1 - p.done) * (c.kind = 'paid' AND s.period < until - 90)::int,
           (c.kind = 'outsourced')::int::numeric, a.amount * (c.kind = 'outsourced')::int, (c.book_id IS NOT NULL)::int::numeric
    FROM charge c JOIN travel_order o ON o.id = c.order_id JOIN organisation payer ON payer.id = c.org_id LEFT JOIN organisation h ON h.id = c.holder_org_id
    LEFT JOIN statement s ON s.id = c.statement_id
    CROSS JOIN LATERAL (SELECT c.amount + coalesce((SELECT sum(x.amount) FROM adjustment x WHERE x.charge_id = c.id), 0) AS amount) a
    CROSS JOIN LATERAL (SELECT (coalesce(s.state = 'PAID', false) OR c.kind <> 'paid')::int::numeric AS done) p
    WHERE c.start_at >= stat_moment(first) AND c.start_at < stat_moment(until) AND c.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Loans that touch the period, at the lender; hours are those inside it.
CREATE FUNCTION stat_loan(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, pair text, loans numeric, hours numeric, days numeric, income numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT l.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), stat_day(lower(l.during)), l.number, v.id,
           lender.name_zh || ' → ' || borrower.name_zh, 1::numeric, round(t.s / 3600, 2), round(t.s / 86400, 2),
           coalesce((SELECT sum(c.amount) FROM charge c JOIN organisation u ON u.id = c.org_id WHERE c.vehicle_id = l.vehicle_id AND c.holder_org_id = l.org_id
               AND starts_with(u.path, borrower.path) AND c.start_at <@ (l.during * tstzrange(stat_moment(first), stat_moment(until)))), 0)
    FROM share_loan l JOIN vehicle v ON v.id = l.vehicle_id JOIN organisation lender ON lender.id = l.org_id JOIN organisation borrower ON borrower.id = l.to_org_id
    CROSS JOIN LATERAL (SELECT extract(epoch FROM upper(r.span) - lower(r.span)) AS s FROM (SELECT l.during * tstzrange(stat_moment(first), stat_moment(until)) AS span) r) t
    WHERE l.state <> 'CALLED_OFF' AND l.during && tstzrange(stat_moment(first), stat_moment(until)) AND l.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Terminals of the vehicles in stock at the end (confidential ones are counted as exempt), with what their days of the period say.
CREATE FUNCTION stat_terminal(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, due numeric, joined numeric, heard numeric, silent numeric,
    fixes numeric, valid numeric, marked numeric, exempt numeric, secret numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT h.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), stat_day(lower(b.during)), '', v.id, d.due, d.due * (b.id IS NOT NULL)::int,
           d.due * (coalesce(g.fixes, 0) > 0)::int, d.due * (b.id IS NOT NULL AND coalesce(g.last_at, '-infinity') < stat_moment(until) - interval '24 hours')::int,
           d.due * coalesce(g.fixes, 0), d.due * coalesce(g.fixes - g.unfixed, 0),
           d.due * EXISTS (SELECT FROM vehicle_document p WHERE p.vehicle_id = v.id AND p.kind = 'marking' AND p.void_at IS NULL AND p.number IS NOT NULL
               AND p.valid_from < until AND (p.valid_to IS NULL OR p.valid_to >= until))::int,
           EXISTS (SELECT FROM vehicle_document p WHERE p.vehicle_id = v.id AND p.kind IN ('marking', 'terminal') AND p.void_at IS NULL AND p.exempt_reason IS NOT NULL)::int::numeric,
           (v.secrecy <> 'normal')::int::numeric
    FROM stat_holding() h JOIN vehicle v ON v.id = h.vehicle_id
    LEFT JOIN terminal_binding b ON b.vehicle_id = v.id AND b.during @> stat_moment(until) - interval '1 microsecond'
    LEFT JOIN LATERAL (SELECT sum(x.fixes)::numeric AS fixes, sum(x.unfixed)::numeric AS unfixed, max(x.received_at) AS last_at FROM gps_day x
        WHERE x.terminal_id = b.terminal_id AND x.day >= first AND x.day < until) g ON true
    CROSS JOIN LATERAL (SELECT (v.secrecy = 'normal')::int::numeric AS due) d
    WHERE h.came_on < until AND (h.left_on IS NULL OR h.left_on >= until) AND h.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Vehicles called up by emergencies and drills, with the minutes from the call to leaving the yard.
CREATE FUNCTION stat_call(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, drill text, called numeric, went numeric, leave_min numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT v.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), stat_day(c.called_at), a.number, v.id, CASE WHEN a.drill THEN 'yes' ELSE 'no' END,
           1::numeric, (u.at IS NOT NULL)::int::numeric, extract(epoch FROM u.at - c.called_at) / 60
    FROM emergency_car c JOIN emergency_activation a ON a.id = c.activation_id JOIN vehicle v ON v.id = c.vehicle_id
    LEFT JOIN LATERAL (SELECT min(e.at) AS at FROM assignment s JOIN duty_event e ON e.assignment_id = s.id AND e.action = 'CHECK_OUT' WHERE s.order_id = c.order_id) u ON true
    WHERE c.called_at >= stat_moment(first) AND c.called_at < stat_moment(until) AND v.org_id IN (SELECT fleet_visible_orgs())
$$;

-- How full the files of the vehicles in stock at the end are, as far as the registry's columns and the papers go: wanted and filled
-- attributes; keys are the typed-in attributes that are wanted of every vehicle, of one with an engine, of one with a plug.
CREATE FUNCTION stat_file(first date, until date, all_keys text[], engine_keys text[], plug_keys text[])
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, wanted numeric, filled numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT h.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), v.registered_on, '', v.id, cardinality(k.keys)::numeric,
           (SELECT count(*) FROM unnest(k.keys) key WHERE r.row ->> key IS NOT NULL)::numeric
    FROM stat_holding() h JOIN vehicle v ON v.id = h.vehicle_id
    CROSS JOIN LATERAL (SELECT all_keys || CASE WHEN v.energy IN ('petrol', 'diesel', 'hev', 'phev') THEN engine_keys ELSE '{}' END
        || CASE WHEN v.energy IN ('bev', 'phev') THEN plug_keys ELSE '{}' END AS keys) k
    CROSS JOIN LATERAL (SELECT (SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM vehicle_fact f WHERE f.vehicle_id = v.id)
        || coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('indicator_no', i.number, 'budget_no', b.document_no, 'contract_no', p.contract_no, 'supplier', p.supplier,
            'accepted_on', CASE WHEN p.state = 'REGISTERED' THEN p.stage_since END)) FROM indicator i LEFT JOIN budget_line b ON b.indicator_id = i.id
            LEFT JOIN procurement p ON p.vehicle_id = v.id WHERE i.vehicle_id = v.id AND i.kind <> 'transfer'), '{}')
        || (SELECT coalesce(jsonb_object_agg(d.kind || '.' || x.field, x.value) FILTER (WHERE x.value IS NOT NULL), '{}') FROM vehicle_document d
            CROSS JOIN LATERAL (VALUES ('number', d.number), ('issuer', d.issuer), ('holder_name', d.holder_name), ('valid_to', d.valid_to::text)) x(field, value)
            WHERE d.vehicle_id = v.id AND d.void_at IS NULL AND d.valid_from < until AND (d.valid_to IS NULL OR d.valid_to >= until))
        || CASE WHEN EXISTS (SELECT FROM terminal_binding b WHERE b.vehicle_id = v.id AND b.during @> stat_moment(until) - interval '1 microsecond')
            THEN '{"phone": "yes"}'::jsonb ELSE '{}' END
        || jsonb_strip_nulls(to_jsonb(v)) || jsonb_build_object('plate_form', 'yes', 'unit', 'yes', 'unit_code', 'yes')
        || CASE WHEN v.parking_id IS NULL THEN '{}'::jsonb ELSE '{"parking": "yes"}' END AS row
        OFFSET 0) r -- made once for a vehicle, not once for every key
    WHERE h.came_on < until AND (h.left_on IS NULL OR h.left_on >= until) AND h.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Whole lives of the vehicles in stock at the end: what was spent on each up to then, CNY, and its kilometres.
CREATE FUNCTION stat_life(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, spent numeric, km numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT h.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), v.registered_on, '', v.id, coalesce(c.amount, 0), round(v.odometer_m / 1000.0, 1)
    FROM stat_holding() h JOIN vehicle v ON v.id = h.vehicle_id
    LEFT JOIN (SELECT s.vehicle_id, sum(s.amount) AS amount FROM stat_cost(date '2000-01-01', until) s GROUP BY s.vehicle_id) c ON c.vehicle_id = v.id
    WHERE h.came_on < until AND (h.left_on IS NULL OR h.left_on >= until) AND h.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Duty hours of working days: vehicles held and vehicles out on an order, by unit of the holder.
CREATE FUNCTION stat_hour(first date, until date, duty_from numeric, duty_to numeric)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, hour text, busy numeric, available numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
WITH hours AS (
    SELECT d::date AS day, stat_moment(d::date) + make_interval(hours => h) AS at
    FROM generate_series(first::timestamp, (until - 1)::timestamp, interval '1 day') d CROSS JOIN generate_series(duty_from::int, duty_to::int - 1) h
    LEFT JOIN calendar_day c ON c."on" = d::date WHERE coalesce(c.kind = 'workday', extract(isodow FROM d) < 6)
), used AS (
    SELECT a.org_id, g.at, count(DISTINCT a.vehicle_id) AS n FROM assignment a
    CROSS JOIN LATERAL generate_series(date_trunc('hour', lower(a.during)), upper(a.during) - interval '1 microsecond', interval '1 hour') g(at)
    WHERE a.state = 'ACTIVE' AND a.during && tstzrange(stat_moment(first), stat_moment(until)) AND a.org_id IN (SELECT fleet_visible_orgs())
    GROUP BY a.org_id, g.at
), held AS (
    SELECT h.org_id, x.day, count(*) AS n FROM (SELECT DISTINCT day FROM hours) x
    JOIN stat_holding() h ON h.came_on <= x.day AND (h.left_on IS NULL OR h.left_on > x.day) WHERE h.org_id IN (SELECT fleet_visible_orgs())
    GROUP BY h.org_id, x.day
)
SELECT h.org_id, 'unit:' || h.org_id, to_char(x.at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI'), x.day, '', x.at::text, coalesce(u.n, 0)::numeric, h.n::numeric
FROM hours x JOIN held h ON h.day = x.day LEFT JOIN used u ON u.org_id = h.org_id AND u.at = x.at
$$;
