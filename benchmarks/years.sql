-- Vehicles and journeys as they lie after years of work: as many as the temporary table ``given`` says, see years.py.
-- Run with session_replication_role = replica: keys and triggers have nothing to say here. Run again with higher numbers it adds.

WITH made AS (SELECT d.*, n, nextval(pg_get_serial_sequence('organisation', 'id')) AS new_id FROM organisation d, given, generate_series(1, units) n
              WHERE d.kind = 'district')
INSERT INTO organisation (id, parent_id, kind, code, name_zh, name_en, adcode, path) OVERRIDING SYSTEM VALUE
SELECT new_id, id, 'unit', code || '-Y' || n, name_zh || '单位' || n, 'Unit ' || n, adcode, path || new_id || '/' FROM made;

INSERT INTO user_account (username, name_zh, name_en, org_id, password_hash, created_at)
SELECT 'years.' || o.id || '.' || n, '科员' || n, 'Clerk ' || n, o.id, '-', moment FROM organisation o, given, generate_series(1, 5) n
WHERE o.code LIKE '%-Y%' AND NOT EXISTS (SELECT FROM user_account u WHERE u.username = 'years.' || o.id || '.' || n);

CREATE TEMP TABLE seat AS SELECT id, org_id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS places FROM user_account
WHERE username LIKE 'years.%' OR username LIKE 'applicant.%';
CREATE TEMP TABLE holder AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS places FROM organisation WHERE kind = 'unit';
CREATE TEMP TABLE car AS SELECT n, 100000 + n AS id, h.id AS org_id FROM given, generate_series(1, cars) n JOIN holder h ON h.place = n % h.places;
CREATE TEMP TABLE line AS SELECT n, (SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(120.1 + n * 0.001 + k * 0.0011, 30.2 + sin(k + n) * 0.002 + k * 0.0009) ORDER BY k), 4326)
                                     FROM generate_series(1, 60) k) AS path FROM generate_series(0, 99) n;

INSERT INTO vehicle (id, org_id, plate, vin, category, body, energy, seats, model, state, registered_on, price_ex_tax, purchase_tax, odometer_m, created_at, version)
SELECT id, org_id, '浙B' || lpad(n::text, 5, '0'), 'YEARS' || lpad(n::text, 12, '0'), (ARRAY['YJBZ', 'ZFZQ', 'JYTX'])[1 + n % 3],
    (ARRAY['sedan', 'suv', 'mpv'])[1 + n % 3], (ARRAY['petrol', 'bev', 'phev', 'petrol'])[1 + n % 4], 5, '示例车型 ' || n % 12,
    CASE WHEN n % 60 = 0 THEN 'SEALED' WHEN n % 70 = 0 THEN 'MAINTENANCE' ELSE 'IN_SERVICE' END, (moment - interval '4 years')::date, 150000, 13000,
    80000000, moment - interval '4 years', 1
FROM car, given WHERE n > cars_before;
INSERT INTO user_account (id, username, name_zh, name_en, org_id, password_hash, created_at)
SELECT id, 'years.driver' || n, '驾驶员' || n, 'Driver ' || n, org_id, '-', moment FROM car, given WHERE n > cars_before;
INSERT INTO role_grant (user_id, role, org_id) SELECT id, 'driver', org_id FROM car, given WHERE n > cars_before;
INSERT INTO driver (id, org_id, user_id, licence, licence_valid_to) SELECT id, org_id, id, 'C1', '2099-01-01' FROM car, given WHERE n > cars_before;
INSERT INTO gps_terminal (id, phone, kind, last_seen_at) OVERRIDING SYSTEM VALUE SELECT id, (13800000000 + n)::text, 'jt808', moment FROM car, given WHERE n > cars_before;
INSERT INTO terminal_binding (org_id, vehicle_id, terminal_id, during)
SELECT org_id, id, id, tstzrange(moment - interval '4 years', NULL) FROM car, given WHERE n > cars_before;
INSERT INTO notice (user_id, key, code, params, link, urgent, created_at)
SELECT u.id, 'years-' || n, 'approvals.waiting', jsonb_build_object('number', 'Y' || n, 'level', '单位审批'), '/orders/inbox', false, moment - n * interval '1 hour'
FROM car, given, user_account u WHERE n > cars_before AND n <= 500 AND u.username LIKE 'dispatcher.%';
INSERT INTO vehicle_incident (org_id, vehicle_id, driver_id, kind, state, happened_at, place, account, fine, points, created_at, liability)
SELECT org_id, id, id, 'violation', 'OPEN', moment - n * interval '8 hours', '文三路', '超速未满百分之二十', 200, 3, moment, NULL FROM car, given WHERE n > cars_before;
INSERT INTO work_order (org_id, number, vehicle_id, kind, state, fault, items, requester_id, created_at, version)
SELECT c.org_id, 'YW' || n, c.id, 'repair', 'REPORTED', '例行检查', '[]', c.id, moment - n * interval '9 hours', 1 FROM car c, given WHERE n > cars_before;

CREATE TEMP TABLE journey AS
SELECT k, 10000000 + k AS id, c.id AS car, c.org_id AS holder, CASE WHEN k % 10 = 0 THEN s.org_id ELSE coalesce(own.org_id, s.org_id) END AS org_id,
    CASE WHEN k % 10 = 0 THEN s.id ELSE coalesce(own.id, s.id) END AS asker, at, at + interval '2 hours' AS until,
    CASE WHEN at > moment THEN (ARRAY['SUBMITTED', 'APPROVED', 'DISPATCHED'])[1 + k % 3] WHEN k % 25 = 0 THEN 'CANCELLED' WHEN k % 40 = 1 THEN 'RETURNED'
         ELSE 'CLOSED' END AS state, at < moment AND k % 25 <> 0 AS driven, 12000 + k % 30000 AS metres
FROM given, generate_series(orders_before + 1, orders) k JOIN car c ON c.n = 1 + k % (SELECT cars FROM given)
JOIN seat s ON s.place = k % s.places
LEFT JOIN LATERAL (SELECT id, org_id FROM seat WHERE seat.org_id = c.org_id ORDER BY (id + k) % 5, id LIMIT 1) own ON true
CROSS JOIN LATERAL (SELECT date_trunc('day', moment) + interval '2 days' + (c.n % 9) * interval '1 hour' - (c.n % 3) * interval '1 day'
                        - (k / (SELECT cars FROM given)) * every AS at) w;
CREATE INDEX ON journey (id);
ANALYZE journey;
INSERT INTO travel_order (id, org_id, serving_org_id, number, kind, purpose, reason, applicant_id, filed_by_id, passengers, passenger_count, contact, body,
    start_at, end_at, state, supplementary, closing_reason, created_at, approved_at, pooling_ok, round_trip, area, route_m, luggage, version, approval_case_id)
SELECT id, org_id, holder, 'Y' || lpad(k::text, 8, '0'), CASE WHEN k % 97 = 0 THEN 'confidential' ELSE 'ordinary' END,
    (ARRAY['meeting', 'inspection', 'research', 'training'])[1 + k % 4], CASE WHEN k % 9 = 0 THEN '赴基层调研第' || k ELSE '参加第' || k || '次工作会议' END,
    asker, asker, '科室人员' || k % 331, 1 + k % 4, '0571-87000000', 'sedan', at, until, state, false, CASE WHEN state = 'CANCELLED' THEN '计划变更' END,
    at - interval '26 hours', CASE WHEN state <> 'SUBMITTED' THEN at - interval '24 hours' END, k % 5 = 0, true, 'city', metres, '', 1, id FROM journey;
INSERT INTO order_stop (order_id, position, name, point, tolerance_m)
SELECT id, p, '地点' || (k + p) % 500, ST_SetSRID(ST_MakePoint(120.1 + p * 0.05 + k % 100 * 0.001, 30.2), 4326), 300 FROM journey, generate_series(0, 1) p;
INSERT INTO order_event (order_id, action, from_state, to_state, actor_id, at)
SELECT id, action, from_state, to_state, CASE WHEN action = 'submit' THEN asker ELSE car END, at + late FROM journey,
    (VALUES ('submit', NULL, 'SUBMITTED', interval '-26 hours', 0), ('approve', 'SUBMITTED', 'APPROVED', interval '-24 hours', 1),
            ('dispatch', 'APPROVED', 'DISPATCHED', interval '-20 hours', 2), ('accept', 'DISPATCHED', 'DRIVER_ACCEPTED', interval '-2 hours', 3),
            ('check_out', 'DRIVER_ACCEPTED', 'CHECKED_OUT', interval '0', 3), ('check_in', 'CHECKED_OUT', 'RETURNED', interval '2 hours', 3),
            ('confirm', 'RETURNED', 'MILEAGE_CONFIRMED', interval '4 hours', 3), ('settle', 'MILEAGE_CONFIRMED', 'SETTLED', interval '2 days', 3),
            ('close', 'SETTLED', 'CLOSED', interval '2 days', 3)) e (action, from_state, to_state, late, needs)
WHERE needs = 0 OR driven OR (needs = 1 AND state IN ('APPROVED', 'DISPATCHED')) OR (needs = 2 AND state = 'DISPATCHED');
INSERT INTO approval_case (id, org_id, chain_id, subject, subject_id, number, barred_ids, facts, state, opened_at, opened_by, closed_at, version) OVERRIDING SYSTEM VALUE
SELECT id, org_id, (SELECT min(id) FROM approval_chain), 'order', id, 'Y' || lpad(k::text, 8, '0'), ARRAY[asker], '{"kind": "ordinary", "area": "city"}',
    CASE WHEN state = 'SUBMITTED' THEN 'OPEN' ELSE 'AGREED' END, at - interval '26 hours', asker, CASE WHEN state <> 'SUBMITTED' THEN at - interval '24 hours' END, 1 FROM journey;
INSERT INTO approval_task (id, case_id, position, level, name, origin, mode, role, seat_org_id, deadline_h, state, opened_at, due_at) OVERRIDING SYSTEM VALUE
SELECT id, id, 0, 1, '单位审批', 'chain', 'any', 'approver', org_id, 24, CASE WHEN state = 'SUBMITTED' THEN 'OPEN' ELSE 'AGREED' END, at - interval '26 hours', at
FROM journey;
INSERT INTO approval_step (org_id, case_id, task_id, verdict, user_id, for_id, at)
SELECT org_id, id, id, 'agree', car, car, at - interval '24 hours' FROM journey WHERE state <> 'SUBMITTED';
INSERT INTO dispatch_slip (id, org_id, year, seq, number, issued_at) OVERRIDING SYSTEM VALUE
SELECT id, holder, year, seq, series || '-' || lpad(seq::text, 5, '0'), at - interval '20 hours'
FROM (SELECT j.id, holder, at, o.code || '-' || extract(year FROM at) AS series, extract(year FROM at) AS year,
          coalesce(last, 0) + row_number() OVER (PARTITION BY holder, extract(year FROM at) ORDER BY k) AS seq
      FROM journey j JOIN organisation o ON o.id = holder LEFT JOIN number_series ON key = o.code || '-' || extract(year FROM at)
      WHERE driven OR state = 'DISPATCHED') s;
INSERT INTO number_series (key, last) SELECT o.code || '-' || year, max(seq) FROM dispatch_slip s JOIN organisation o ON o.id = s.org_id GROUP BY 1
ON CONFLICT (key) DO UPDATE SET last = excluded.last;
INSERT INTO assignment (id, org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at, assigned_by) OVERRIDING SYSTEM VALUE
SELECT id, holder, org_id, id, car, car, id, tstzrange(at - interval '15 minutes', until + interval '15 minutes'), 'ACTIVE', at - interval '20 hours', car
FROM journey WHERE driven OR state = 'DISPATCHED';
INSERT INTO duty_event (org_id, assignment_id, driver_id, action, idempotency_key, at, received_at, odometer_m)
SELECT holder, id, car, action, 'years-' || id || action, at + late, at + late, 50000000 + (1200 - k / (SELECT cars FROM given)) * 30000 + CASE action WHEN 'CHECK_IN' THEN metres ELSE 0 END
FROM journey, (VALUES ('ACCEPT', interval '-2 hours'), ('CHECK_OUT', interval '0'), ('ARRIVE', interval '1 hour'), ('CHECK_IN', interval '2 hours')) s (action, late)
WHERE driven;
INSERT INTO odometer_reading (org_id, vehicle_id, meter, at, reading_m, source, created_at, created_by)
SELECT holder, car, 1, at, 50000000 + (1200 - k / (SELECT cars FROM given)) * 30000, 'check_out', at, car FROM journey WHERE driven;
INSERT INTO trip (id, org_id, vehicle_id, terminal_id, start_at, end_at, path, gps_m, best_m, best_source, error_m, coverage, points, max_speed_kmh, stops, gaps, content_digest, derived_at) OVERRIDING SYSTEM VALUE
SELECT id, holder, car, car, at, until, path, metres, metres, 'gps', 120, 0.98, 480, 68, '[]', '[]', md5(id::text), until FROM journey JOIN line ON line.n = k % 100 WHERE driven;
INSERT INTO trip_match (org_id, trip_id, order_id, start_at, end_at, distance_m, kind, score, margin, candidates, derived_at)
SELECT holder, id, CASE WHEN k % 30 <> 7 THEN id END, at, until, metres, CASE WHEN k % 30 <> 7 THEN 'matched' ELSE 'unmatched' END, 0.9, 0.5, '[]', until FROM journey WHERE driven;
INSERT INTO mileage_confirmation (org_id, order_id, planned_m, gps_m, gps_source, gps_coverage, odometer_m, confirmed_m, source, over_limit, auto, confirmed_by, at)
SELECT org_id, id, metres, metres, 'gps', 0.98, metres, metres, 'GPS', false, false, asker, until + interval '2 hours' FROM journey WHERE state = 'CLOSED';
INSERT INTO charge (id, org_id, holder_org_id, order_id, vehicle_id, kind, start_at, end_at, distance_m, distance_source, wait_min, cross_level, part, amount, created_at) OVERRIDING SYSTEM VALUE
SELECT id, org_id, org_id, id, car, 'own', at, until, metres, 'confirmed', 30, false, 1, 0, until + interval '1 day' FROM journey WHERE state = 'CLOSED';
INSERT INTO cost_entry (org_id, vehicle_id, "on", kind, amount, order_id, document_no, created_at, created_by)
SELECT holder, car, (at AT TIME ZONE 'Asia/Shanghai')::date, CASE WHEN k % 2 = 0 THEN 'toll' ELSE 'parking_fee' END, 10 + k % 50, id, 'Y' || k, until, car FROM journey WHERE driven AND k % 2 = 0;
INSERT INTO energy_entry (org_id, vehicle_id, kind, at, quantity, unit_price, amount, odometer_m, "full", station, source, created_at, created_by)
SELECT holder, car, 'fuel', until, 40, 7.5, 300, 50000000 + (1200 - k / (SELECT cars FROM given)) * 30000, true, '中石化文三路站', 'manual', until, car
FROM journey, given WHERE driven AND (small OR k / cars % 4 = 0);
INSERT INTO finding_case (id, org_id, number, vehicle_id, severity, state, start_at, end_at, detected_at, due_at, escalation) OVERRIDING SYSTEM VALUE
SELECT id, holder, 'YC' || k, car, 'yellow', CASE WHEN at > moment - interval '20 days' THEN 'NOTIFIED' ELSE 'CLOSED' END, at, until, until, until + interval '5 days', 0
FROM journey, given WHERE driven AND (small OR k % 40 = 3);
INSERT INTO finding (id, org_id, number, dedupe_key, rule, rule_version, vehicle_id, case_id, trip_id, start_at, end_at, severity, state, confidence, facts, params,
    evidence_for, evidence_against, detected_at, due_at) OVERRIDING SYSTEM VALUE
SELECT id, holder, 'YF' || k, 'years-' || k, 'A-01', '1', car, id, id, at, until, 'yellow', CASE WHEN at > moment - interval '20 days' THEN 'NOTIFIED' ELSE 'CLOSED' END, 0.8,
    '{"km": "12"}', '{}', '[]', '[]', until, until + interval '5 days'
FROM journey, given WHERE driven AND (small OR k % 40 = 3);
INSERT INTO finding_event (finding_id, action, from_state, to_state, at)
SELECT id, 'notify', 'ASSIGNED', 'NOTIFIED', until FROM journey, given WHERE driven AND (small OR k % 40 = 3);
INSERT INTO audit_entry (seq, at, actor_id, actor_name, action, subject_type, subject_id, org_id, data, prev_hash, hash)
SELECT 10000000 + k * 9 + e, at + e * interval '10 minutes', asker, '科员', (ARRAY['orders.submitted', 'orders.approved', 'planning.assigned', 'duty.reported', 'duty.reported',
        'duty.reported', 'confirmations.confirmed', 'settlement.charged', 'orders.closed'])[1 + e], 'order', id::text, org_id,
    jsonb_build_object('number', 'Y' || lpad(k::text, 8, '0'), 'from', 'SUBMITTED', 'to', 'APPROVED', 'vehicle_id', car, 'at', at),
    sha256(int8send(10000000 + k * 9 + e - 1)), sha256(int8send(10000000 + k * 9 + e)) FROM journey, generate_series(0, 8) e WHERE e = 0 OR driven;
DROP TABLE seat, holder, car, line, journey;
