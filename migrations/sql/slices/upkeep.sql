-- Upkeep: what was quoted, charged, done and reminded of is appended; orders, plans, suppliers and incidents are never removed.
CALL fleet_append_only('work_quote', 'work_line', 'work_event', 'upkeep_done', 'upkeep_reminder');
REVOKE UPDATE ON work_quote, work_line, work_event, upkeep_done, upkeep_reminder FROM fleet_app;
CALL fleet_keep('work_order', 'upkeep_plan', 'supplier', 'vehicle_incident');
CALL fleet_scope('work_order', 'org_id IN (SELECT fleet_visible_orgs()) OR requester_id = fleet_actor_id()');
ALTER POLICY scope ON work_order WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('work_quote', 'EXISTS (SELECT 1 FROM work_order o WHERE o.id = order_id)');
CALL fleet_scope('work_line', 'EXISTS (SELECT 1 FROM work_order o WHERE o.id = order_id)');
CALL fleet_scope('work_event', 'EXISTS (SELECT 1 FROM work_order o WHERE o.id = order_id)');
CALL fleet_scope('upkeep_done', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('upkeep_reminder', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('vehicle_incident', 'org_id IN (SELECT fleet_visible_orgs())');

-- Plans and designated suppliers hold for an organisation and all below it: whoever stands below reads them.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['upkeep_plan', 'supplier'] LOOP
        CALL fleet_scope(name, 'EXISTS (SELECT 1 FROM organisation above JOIN organisation o ON starts_with(o.path, above.path)
                                        WHERE above.id = org_id AND o.id IN (SELECT fleet_visible_orgs()))');
        EXECUTE format('ALTER POLICY scope ON %I WITH CHECK (org_id IN (SELECT fleet_visible_orgs()))', name);
    END LOOP;
END $$;

-- A plan is ended, a supplier's contract shortened or prolonged; nothing else of them changes.
CREATE FUNCTION upkeep_plan_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at' THEN
        RAISE EXCEPTION 'plan % can only be ended, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON upkeep_plan FOR EACH ROW EXECUTE FUNCTION upkeep_plan_frozen();

CREATE FUNCTION supplier_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'contract_to' IS DISTINCT FROM to_jsonb(OLD) - 'contract_to' THEN
        RAISE EXCEPTION 'of supplier % only the end of the contract changes', OLD.name USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON supplier FOR EACH ROW EXECUTE FUNCTION supplier_frozen();

-- Work orders go one step after the other. What was approved is frozen, a closed one does not move any more, quotes are enough or
-- there is a reason, the vehicle is in maintenance while in the shop, the cost is the sum of the lines.
CREATE FUNCTION work_order_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF OLD.state IN ('ACCEPTED', 'REJECTED', 'CANCELLED') THEN
        RAISE EXCEPTION 'work order % is closed', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.number, NEW.vehicle_id, NEW.org_id, NEW.kind, NEW.requester_id) IS DISTINCT FROM
       (OLD.number, OLD.vehicle_id, OLD.org_id, OLD.kind, OLD.requester_id)
       OR OLD.state NOT IN ('REPORTED', 'QUOTED') AND (NEW.supplier_id, NEW.quoted_by, NEW.approved_by, NEW.approved_limit, NEW.over_share)
       IS DISTINCT FROM (OLD.supplier_id, OLD.quoted_by, OLD.approved_by, OLD.approved_limit, OLD.over_share) THEN
        RAISE EXCEPTION 'work order %: what was asked for and approved is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN (
        'REPORTED>QUOTED', 'REPORTED>REJECTED', 'REPORTED>CANCELLED', 'QUOTED>APPROVED', 'QUOTED>REJECTED', 'QUOTED>CANCELLED',
        'APPROVED>IN_WORK', 'APPROVED>CANCELLED', 'IN_WORK>DONE', 'DONE>ACCEPTED', 'DONE>IN_WORK') THEN
        RAISE EXCEPTION 'work order % does not go from % to %', OLD.number, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_step';
    END IF;
    IF NEW.state = 'QUOTED' AND length(trim(coalesce(NEW.single_reason, ''))) < 4
       AND (SELECT count(*) FROM work_quote q WHERE q.order_id = NEW.id) < 2 THEN
        RAISE EXCEPTION 'work order % needs two quotes or a reason', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_quotes';
    END IF;
    IF NEW.state IN ('IN_WORK', 'DONE') AND (SELECT v.state FROM vehicle v WHERE v.id = NEW.vehicle_id) <> 'MAINTENANCE' THEN
        RAISE EXCEPTION 'work order %: the vehicle is not in maintenance', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_vehicle';
    END IF;
    IF OLD.state = 'APPROVED' AND NEW.state = 'IN_WORK' AND EXISTS (
        SELECT 1 FROM assignment a JOIN travel_order o ON o.id = a.order_id
        WHERE a.vehicle_id = NEW.vehicle_id AND a.state = 'ACTIVE' AND o.state IN ('CHECKED_OUT', 'EN_ROUTE')) THEN
        RAISE EXCEPTION 'work order %: the vehicle is out on a journey', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_on_journey';
    END IF;
    IF NEW.state IN ('DONE', 'ACCEPTED') AND NEW.final_cost IS DISTINCT FROM
       (SELECT coalesce(sum(l.amount), 0) FROM work_line l WHERE l.order_id = NEW.id) THEN
        RAISE EXCEPTION 'work order %: the cost is not the sum of its lines', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_sum';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE UPDATE ON work_order FOR EACH ROW EXECUTE FUNCTION work_order_step();

CREATE FUNCTION work_order_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a work order begins as reported' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_work_order_step';
END $$;
CREATE TRIGGER first BEFORE INSERT ON work_order FOR EACH ROW WHEN (NEW.state <> 'REPORTED') EXECUTE FUNCTION work_order_first();

-- Quotes come before the decision, lines while the work is done.
CREATE FUNCTION work_part_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT o.state FROM work_order o WHERE o.id = NEW.order_id) <> TG_ARGV[0] THEN
        RAISE EXCEPTION 'work order % is past that', NEW.order_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER in_time BEFORE INSERT ON work_quote FOR EACH ROW EXECUTE FUNCTION work_part_in_time('REPORTED');
CREATE TRIGGER in_time BEFORE INSERT ON work_line FOR EACH ROW EXECUTE FUNCTION work_part_in_time('IN_WORK');

CREATE FUNCTION vehicle_in_work() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM work_order o WHERE o.vehicle_id = NEW.id AND o.state IN ('IN_WORK', 'DONE')) THEN
        RAISE EXCEPTION '% is in work: it comes back with the acceptance', NEW.plate
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_in_work';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER in_work BEFORE UPDATE OF state ON vehicle FOR EACH ROW
    WHEN (OLD.state = 'MAINTENANCE' AND NEW.state <> 'MAINTENANCE') EXECUTE FUNCTION vehicle_in_work();

-- A closed incident stays as it is; an open one is closed or completed, but stays that vehicle's.
CREATE FUNCTION vehicle_incident_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'CLOSED' OR (NEW.vehicle_id, NEW.org_id, NEW.kind, NEW.happened_at, NEW.created_at, NEW.created_by) IS DISTINCT FROM
       (OLD.vehicle_id, OLD.org_id, OLD.kind, OLD.happened_at, OLD.created_at, OLD.created_by) THEN
        RAISE EXCEPTION 'incident % is on record', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON vehicle_incident FOR EACH ROW EXECUTE FUNCTION vehicle_incident_frozen();
