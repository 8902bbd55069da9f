-- A confidential order exists for its applicant, who filed it, the unit's approvers, whoever is asked to decide, the driver sent, and whoever holds
-- orders.read_confidential (config/permissions.toml) over the unit or the vehicle's holder; its stops and events likewise.
CREATE FUNCTION fleet_reads_confidential(order_id bigint, unit bigint, holder bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT EXISTS (SELECT 1 FROM role_grant g JOIN organisation top ON top.id = g.org_id
                   JOIN organisation o ON o.id IN (unit, holder) AND starts_with(o.path, top.path)
                   WHERE g.user_id = fleet_actor_id() AND (g.role IN ('dispatcher', 'auditor') OR g.role = 'approver' AND g.org_id = unit))
        OR EXISTS (SELECT 1 FROM assignment a JOIN driver d ON d.id = a.driver_id
                   WHERE a.order_id = fleet_reads_confidential.order_id AND d.user_id = fleet_actor_id())
$$;
CREATE POLICY confidential ON travel_order AS RESTRICTIVE TO fleet_app USING (
    kind <> 'confidential' OR fleet_sees_all() OR applicant_id = fleet_actor_id() OR filed_by_id = fleet_actor_id()
    OR fleet_reads_confidential(id, org_id, serving_org_id) OR id IN (SELECT fleet_approval_subjects()));

-- The text search of lists. Row-level security keeps an index of a text away from who is bound by it, so the search runs
-- as the owner within the actor's part of the tree and returns ids alone; the rows are read under the policies as ever.
-- Pairs of neighbouring letters find a Chinese word of two letters, which triples would not.
CREATE FUNCTION fleet_pairs(given text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(lower(given), n, 2)), '{}') FROM generate_series(1, length(given) - 1) n
$$;
CREATE FUNCTION fleet_order_text(number text, reason text, passengers text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT number || E'\n' || reason || E'\n' || passengers
$$;
CREATE INDEX ix_travel_order_words ON travel_order USING gin (fleet_pairs(fleet_order_text(number, reason, passengers)));
CREATE INDEX ix_order_event_dispatched ON order_event USING gin (fleet_pairs(note)) WHERE action = 'dispatch';

-- The newest orders of the actor's part of the tree that have a text of two letters or more in number, reason, passengers,
-- the applicant's name or what planning noted when it sent a vehicle (plate and slip number).
CREATE FUNCTION fleet_orders_with(words text, first_at timestamptz, last_at timestamptz, states text[], most integer)
RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    WITH found AS MATERIALIZED (
        SELECT o.id, o.org_id, o.serving_org_id, o.applicant_id, o.state, o.start_at FROM travel_order o
        WHERE fleet_pairs(fleet_order_text(o.number, o.reason, o.passengers)) @> fleet_pairs(words)
        AND position(lower(words) IN lower(fleet_order_text(o.number, o.reason, o.passengers))) > 0
        UNION
        SELECT o.id, o.org_id, o.serving_org_id, o.applicant_id, o.state, o.start_at FROM travel_order o WHERE o.applicant_id = ANY (ARRAY(
            SELECT u.id FROM user_account u WHERE position(lower(words) IN lower(u.name_zh || E'\n' || u.name_en || E'\n' || u.username)) > 0))
        UNION
        SELECT o.id, o.org_id, o.serving_org_id, o.applicant_id, o.state, o.start_at FROM travel_order o WHERE o.id = ANY (ARRAY(
            SELECT e.order_id FROM order_event e
            WHERE e.action = 'dispatch' AND fleet_pairs(e.note) @> fleet_pairs(words) AND position(lower(words) IN lower(e.note)) > 0))
    )
    SELECT f.id FROM found f
    WHERE (f.org_id IN (SELECT fleet_visible_orgs()) OR f.serving_org_id IN (SELECT fleet_visible_orgs()) OR f.applicant_id = fleet_actor_id())
    AND (first_at IS NULL OR f.start_at >= first_at) AND (last_at IS NULL OR f.start_at < last_at)
    AND (states IS NULL OR f.state = ANY (states))
    ORDER BY f.start_at DESC, f.id DESC LIMIT most
$$;
