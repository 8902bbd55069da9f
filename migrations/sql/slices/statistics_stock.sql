-- Statistics: facts of stock, places, acquisitions and disposals.

-- Stock and its changes. A retired vehicle of which neither a disposal case nor the log says when it went stays in the closing count:
-- the comparison with the registry finds it.
CREATE FUNCTION stat_stock(first date, until date, idle_days integer, idle_trips numeric, idle_km numeric)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, vehicle_id bigint, category text, energy text, nev text, body text,
    displacement text, price text, age text, odometer text, domestic text, line text,
    opening numeric, purchase numeric, renewal numeric, acquired numeric, acquired_nev numeric, transfer_in numeric, received numeric,
    transfer_out numeric, auction numeric, buyback numeric, scrap numeric, deregister numeric, closing numeric, nev_closing numeric,
    platform numeric, retained numeric, secret numeric, sealed numeric, idle numeric, in_service numeric, over_standard numeric,
    asset_value numeric, no_asset_card numeric, registry numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
WITH held AS (
    SELECT h.*, (h.came_on < first AND (h.left_on IS NULL OR h.left_on >= first))::int AS opening,
           (h.came_on < until AND (h.left_on IS NULL OR h.left_on >= until))::int AS closing,
           (h.came_on >= first AND h.came_on < until)::int AS came,
           coalesce(h.left_on >= first AND h.left_on < until, false)::int AS went
    FROM stat_holding() h
    WHERE h.org_id IN (SELECT fleet_visible_orgs()) AND h.came_on < until
), use AS (
    SELECT t.vehicle_id, count(*) AS trips, sum(t.best_m) / 1000 AS km FROM trip t
    WHERE t.superseded_at IS NULL AND t.start_at >= stat_moment(until - idle_days) AND t.start_at < stat_moment(until) GROUP BY t.vehicle_id
), sealed AS (
    SELECT DISTINCT r.vehicle_id FROM seal_record r
    WHERE r.sealed_at < stat_moment(until) AND (r.unsealed_at IS NULL OR r.unsealed_at >= stat_moment(until)) AND r.state IN ('SEALED', 'UNSEALED')
), cards AS (
    SELECT DISTINCT f.vehicle_id FROM vehicle_fact f WHERE f.key = 'asset_card_no'
)
SELECT h.org_id, stat_ref(v.id, v.secrecy), stat_plate(v.plate, v.secrecy), h.came_on,
       concat_ws(' · ', h.came_by, h.came_paper, h.left_on::text, h.left_by, h.left_paper), v.id, v.category, v.energy,
       CASE WHEN v.energy IN ('bev', 'phev', 'fcev') THEN 'yes' ELSE 'no' END, v.body,
       CASE WHEN v.displacement_ml IS NULL THEN 'none' WHEN v.displacement_ml <= 1600 THEN 'to16' WHEN v.displacement_ml <= 1800 THEN 'to18'
            WHEN v.displacement_ml <= 2000 THEN 'to20' WHEN v.displacement_ml <= 3000 THEN 'to30' ELSE 'above' END,
       CASE WHEN v.price_ex_tax IS NULL THEN 'none' WHEN v.price_ex_tax <= 120000 THEN 'to12' WHEN v.price_ex_tax <= 180000 THEN 'to18'
            WHEN v.price_ex_tax <= 250000 THEN 'to25' WHEN v.price_ex_tax <= 450000 THEN 'to45' ELSE 'above' END,
       CASE WHEN a.years <= 2 THEN 'to2' WHEN a.years <= 4 THEN 'to4' WHEN a.years <= 6 THEN 'to6' WHEN a.years <= 8 THEN 'to8'
            WHEN a.years <= 10 THEN 'to10' WHEN a.years <= 15 THEN 'to15' ELSE 'above' END,
       CASE WHEN v.odometer_m < 50000000 THEN 'to5' WHEN v.odometer_m < 100000000 THEN 'to10' WHEN v.odometer_m < 200000000 THEN 'to20'
            WHEN v.odometer_m < 400000000 THEN 'to40' WHEN v.odometer_m < 600000000 THEN 'to60' ELSE 'above' END,
       CASE WHEN v.domestic THEN 'yes' ELSE 'no' END, coalesce(i.step, 'normal'),
       h.opening, h.came * (h.came_by = 'purchase')::int, h.came * (h.came_by = 'renewal')::int,
       h.came * (h.came_by IN ('purchase', 'renewal'))::int,
       h.came * (h.came_by IN ('purchase', 'renewal') AND v.energy IN ('bev', 'phev', 'fcev'))::int,
       h.came * (h.came_by = 'transfer')::int, h.came * (h.came_by = 'received')::int,
       h.went * (w.way = 'transfer')::int, h.went * (w.way = 'auction')::int, h.went * (w.way = 'buyback')::int,
       h.went * (w.way = 'scrap')::int, h.went * (w.way = 'deregister')::int, h.closing,
       h.closing * (v.energy IN ('bev', 'phev', 'fcev'))::int, h.closing * (v.management_mode = 'platform')::int,
       h.closing * (v.management_mode = 'retained')::int, h.closing * (v.secrecy <> 'normal')::int,
       h.closing * (s.vehicle_id IS NOT NULL)::int,
       h.closing * (v.state <> 'PREPARING' AND coalesce(u.trips, 0) < idle_trips AND coalesce(u.km, 0) < idle_km)::int,
       h.closing * (v.state <> 'PREPARING')::int, h.closing * coalesce(i.step <> 'normal', false)::int,
       h.closing * coalesce(v.price_ex_tax, 0) + h.closing * coalesce(v.purchase_tax, 0),
       h.closing * (c.vehicle_id IS NULL)::int,
       -- What the registry shows today, taken back to the end of the period by what came and went since.
       CASE WHEN h.last AND v.state <> 'RETIRED' THEN (v.org_id = h.org_id)::int WHEN coalesce(h.left_on >= until, false) THEN 1 ELSE 0 END
FROM held h JOIN vehicle v ON v.id = h.vehicle_id
LEFT JOIN indicator i ON i.vehicle_id = v.id AND i.kind <> 'transfer'
LEFT JOIN use u ON u.vehicle_id = v.id LEFT JOIN sealed s ON s.vehicle_id = v.id LEFT JOIN cards c ON c.vehicle_id = v.id
CROSS JOIN LATERAL (SELECT (until - v.registered_on) / 365.25 AS years) a
CROSS JOIN LATERAL (SELECT coalesce(h.left_by, '') AS way) w
$$;

-- Authorised numbers: the entries that had taken effect before the end.
CREATE FUNCTION stat_quota(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, category text, quota numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT q.org_id, 'quota:' || q.id, q.document_no, q.effective_on, q.category, q.category, q.delta::numeric FROM quota_entry q
    WHERE q.effective_on < until AND q.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Units as they stand in the tree; those that were closed before the period are left out.
CREATE FUNCTION stat_unit(first date, until date)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, kind text, code text, adcode text, units numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT o.id, 'unit:' || o.id, o.code, NULL::date, o.name_zh, o.kind, o.code, o.adcode, 1::numeric FROM organisation o
    WHERE (o.closed_on IS NULL OR o.closed_on > first) AND o.id IN (SELECT fleet_visible_orgs())
$$;

-- Applications for vehicles with what became of them, in the period of their application; money in CNY, days between stages.
CREATE FUNCTION stat_indicator(first date, until date)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, category text, energy text, state text, kind text, fuel_reason text,
    applied numeric, approved numeric, used numeric, expired numeric, nev_planned numeric, nev_actual numeric, budget numeric,
    contract numeric, delivered numeric, saved numeric, approve_days numeric, deliver_days numeric, exempted numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT i.org_id, 'indicator:' || i.id, i.number, stat_day(i.created_at), i.state, i.category, i.energy, i.state, i.kind,
           coalesce(i.fuel_reason, ''), 1::numeric, (i.state IN ('APPROVED', 'USED', 'EXPIRED') AND i.decided_at IS NOT NULL)::int::numeric,
           (i.state = 'USED')::int::numeric, (i.state = 'EXPIRED')::int::numeric, (i.energy IN ('bev', 'phev', 'fcev'))::int::numeric,
           coalesce(v.energy IN ('bev', 'phev', 'fcev'), false)::int::numeric, coalesce(b.amount, 0), coalesce(p.price, 0),
           coalesce(p.state IN ('DELIVERED', 'ACCEPTED', 'REGISTERED'), false)::int::numeric,
           CASE WHEN p.price IS NULL THEN 0 ELSE i.max_price - p.price END,
           coalesce(stat_day(i.decided_at) - stat_day(i.created_at), 0)::numeric,
           CASE WHEN p.state = 'REGISTERED' THEN (stat_day(p.stage_since) - stat_day(p.opened_at))::numeric ELSE 0 END,
           (i.fuel_reason IS NOT NULL)::int::numeric
    FROM indicator i LEFT JOIN budget_line b ON b.indicator_id = i.id LEFT JOIN vehicle v ON v.id = i.vehicle_id
    LEFT JOIN procurement p ON p.indicator_id = i.id AND p.state <> 'CANCELLED'
    WHERE i.state NOT IN ('DRAFT', 'WITHDRAWN') AND i.created_at >= stat_moment(first) AND i.created_at < stat_moment(until)
      AND i.org_id IN (SELECT fleet_visible_orgs())
$$;

-- Disposals that were dealt, or registered away, in the period; money in CNY.
CREATE FUNCTION stat_disposal(first date, until date)
RETURNS TABLE (
    org_id bigint, ref text, label text, "on" date, note text, category text, mode text, buyer text, receipt text, registered text, dealt text,
    deregistered text, cases numeric, years numeric, km numeric, original numeric, appraised numeric, price numeric, fees numeric,
    remitted numeric, remit_days numeric, deregister_due numeric, deregister_in_time numeric
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT c.org_id, 'disposal:' || c.id, stat_plate(v.plate, v.secrecy), coalesce(c.deal_on, stat_day(c.decided_at)), c.number, v.category, c.mode,
           coalesce(c.buyer, ''), coalesce(c.receipt_no, ''), v.registered_on::text, coalesce(c.deal_on::text, ''),
           coalesce(c.deregistered_on::text, ''), 1::numeric, round((coalesce(c.deal_on, stat_day(c.decided_at)) - v.registered_on) / 365.25, 1),
           round(v.odometer_m / 1000.0, 1), coalesce(v.price_ex_tax, 0), coalesce(c.appraised_value, 0), coalesce(c.deal_price, 0),
           coalesce(c.allowed_fees, 0), coalesce(c.remitted, 0), coalesce(c.remitted_on - stat_day(c.decided_at), 0)::numeric,
           (c.mode <> 'transfer')::int::numeric,
           coalesce(c.deregistered_on <= stat_day(c.decided_at) + 60, false)::int::numeric
    FROM disposal_case c JOIN vehicle v ON v.id = c.vehicle_id
    WHERE c.decided_by IS NOT NULL AND c.state NOT IN ('REJECTED', 'WITHDRAWN') AND c.decided_at >= stat_moment(first)
      AND c.decided_at < stat_moment(until) AND c.org_id IN (SELECT fleet_visible_orgs())
$$;
