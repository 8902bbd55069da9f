-- A confidential order exists for its applicant, who filed it, the unit's approvers, the driver sent, and whoever holds
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
    OR fleet_reads_confidential(id, org_id, serving_org_id));
