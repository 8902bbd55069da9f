-- Cases: steps by the table, appended; nothing removed; nobody concludes a matter in which he has a part (INV-25).
CALL fleet_append_only('case_event');
REVOKE UPDATE ON case_event, sample_run FROM fleet_app;
CALL fleet_append_only('sample_run');
CALL fleet_keep('finding_case', 'suppression', 'sample_item');

-- Who explains a case sees it wherever it belongs; so does who was told when it was overdue.
CALL fleet_scope('finding_case', 'org_id IN (SELECT fleet_visible_orgs()) OR concerned_id = fleet_actor_id() OR escalated_to_id = fleet_actor_id()');
CALL fleet_scope('case_event', 'EXISTS (SELECT 1 FROM finding_case c WHERE c.id = case_id)');
CALL fleet_scope('suppression', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('sample_item', 'org_id IN (SELECT fleet_visible_orgs())');
ALTER TABLE sample_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY directory ON sample_run FOR SELECT TO fleet_app USING (true);
CREATE POLICY system ON sample_run FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all());
ALTER POLICY scope ON finding USING (org_id IN (SELECT fleet_visible_orgs()) OR concerned_id = fleet_actor_id()
    OR case_id IN (SELECT c.id FROM finding_case c)) WITH CHECK (org_id IN (SELECT fleet_visible_orgs()) OR concerned_id = fleet_actor_id()
    OR case_id IN (SELECT c.id FROM finding_case c));

-- The same table as fleetapp.findings.workflow.TRANSITIONS; '' is the beginning.
CREATE FUNCTION finding_step_allowed(before text, after text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (before, after) IN (
        ('', 'DETECTED'), ('DETECTED', 'ASSIGNED'), ('DETECTED', 'DETECTED'), ('DETECTED', 'MERGED'), ('DETECTED', 'SUPPRESSED'),
        ('DETECTED', 'WITHDRAWN'), ('ASSIGNED', 'ASSIGNED'), ('ASSIGNED', 'MERGED'), ('ASSIGNED', 'NOTIFIED'),
        ('ASSIGNED', 'WITHDRAWN'), ('NOTIFIED', 'EXPLAINED'), ('NOTIFIED', 'MERGED'), ('NOTIFIED', 'NOTIFIED'),
        ('NOTIFIED', 'WITHDRAWN'), ('MERGED', 'DETECTED'), ('MERGED', 'MERGED'), ('MERGED', 'WITHDRAWN'),
        ('SUPPRESSED', 'REOPENED'), ('SUPPRESSED', 'SUPPRESSED'), ('SUPPRESSED', 'WITHDRAWN'), ('WITHDRAWN', 'DETECTED'),
        ('EXPLAINED', 'EXPLAINED'), ('EXPLAINED', 'UNIT_VERIFIED'), ('UNIT_VERIFIED', 'BUREAU_REVIEWED'),
        ('UNIT_VERIFIED', 'EXPLAINED'), ('BUREAU_REVIEWED', 'CLEARED'), ('BUREAU_REVIEWED', 'CONFIRMED'),
        ('BUREAU_REVIEWED', 'DEVICE'), ('BUREAU_REVIEWED', 'PROCEDURAL'), ('BUREAU_REVIEWED', 'REFERRED'), ('CLEARED', 'CLOSED'),
        ('CLEARED', 'REOPENED'), ('PROCEDURAL', 'RECTIFIED'), ('PROCEDURAL', 'REOPENED'), ('DEVICE', 'RECTIFIED'),
        ('DEVICE', 'REOPENED'), ('CONFIRMED', 'RECTIFIED'), ('CONFIRMED', 'REOPENED'), ('REFERRED', 'RECTIFIED'),
        ('REFERRED', 'REOPENED'), ('RECTIFIED', 'CLOSED'), ('RECTIFIED', 'REOPENED'), ('CLOSED', 'REOPENED'),
        ('REOPENED', 'BUREAU_REVIEWED'), ('REOPENED', 'EXPLAINED'))
$$;

-- Whoever has a part in a case: concerned by it or one of its clues, explained it, applied for or approved an order of it.
CREATE FUNCTION case_people(wanted bigint) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT c.concerned_id FROM finding_case c WHERE c.id = wanted
    UNION SELECT f.concerned_id FROM finding f WHERE f.case_id = wanted
    UNION SELECT e.actor_id FROM case_event e WHERE e.case_id = wanted AND e.action = 'explain'
    UNION SELECT unnest(ARRAY[o.applicant_id, o.approver_id, o.filed_by_id]) FROM finding f JOIN travel_order o ON o.id = f.order_id
        WHERE f.case_id = wanted
$$;

CREATE FUNCTION finding_case_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE before text := CASE TG_OP WHEN 'UPDATE' THEN OLD.state ELSE '' END;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'DETECTED' OR TG_OP = 'UPDATE' AND NEW.state <> OLD.state
       AND NOT finding_step_allowed(before, NEW.state) THEN
        RAISE EXCEPTION 'case % cannot go from "%" to %', NEW.number, before, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_case_step';
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.number, NEW.org_id, NEW.vehicle_id, NEW.detected_at)
        IS DISTINCT FROM (OLD.number, OLD.org_id, OLD.vehicle_id, OLD.detected_at) THEN
        RAISE EXCEPTION 'what case % is does not change', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.state <> OLD.state THEN
        IF NEW.state IN ('UNIT_VERIFIED', 'BUREAU_REVIEWED', 'CLEARED', 'PROCEDURAL', 'DEVICE', 'CONFIRMED', 'REFERRED', 'CLOSED')
           AND (fleet_actor_id() IS NULL OR fleet_actor_id() IN (SELECT p FROM case_people(NEW.id) AS p WHERE p IS NOT NULL)) THEN
            RAISE EXCEPTION 'case % is not concluded by somebody with a part in it', NEW.number
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_case_part';
        END IF;
        IF NEW.state IN ('CLEARED', 'PROCEDURAL', 'DEVICE', 'CONFIRMED', 'REFERRED')
           AND (NEW.outcome IS DISTINCT FROM NEW.state OR NEW.reviewer_id IS DISTINCT FROM fleet_actor_id()) THEN
            RAISE EXCEPTION 'case % is decided by whoever acts, with the outcome it is in', NEW.number
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_case_decided';
        END IF;
    END IF;
    IF NEW.state IN ('CLEARED', 'PROCEDURAL', 'DEVICE', 'CONFIRMED', 'REFERRED', 'RECTIFIED', 'CLOSED') AND (
        NEW.outcome IS NULL OR NEW.reviewer_id IS NULL OR TG_OP = 'UPDATE' AND OLD.state = NEW.state
        AND (NEW.outcome, NEW.reason_code, NEW.reviewer_id, NEW.verifier_id, NEW.decided_at)
            IS DISTINCT FROM (OLD.outcome, OLD.reason_code, OLD.reviewer_id, OLD.verifier_id, OLD.decided_at)) THEN
        RAISE EXCEPTION 'case % is decided', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_case_decided';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON finding_case FOR EACH ROW EXECUTE FUNCTION finding_case_guard();

-- A clue goes by the same table, and where people have acted it goes with its case alone.
CREATE FUNCTION finding_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE before text := CASE TG_OP WHEN 'UPDATE' THEN OLD.state ELSE '' END;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'DETECTED' OR TG_OP = 'UPDATE' AND NEW.state <> OLD.state
       AND NOT finding_step_allowed(before, NEW.state) THEN
        RAISE EXCEPTION 'clue % cannot go from "%" to %', NEW.number, before, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_step';
    END IF;
    IF before <> NEW.state AND NEW.state NOT IN ('DETECTED', 'MERGED', 'SUPPRESSED', 'WITHDRAWN', 'ASSIGNED')
       AND NEW.state IS DISTINCT FROM (SELECT c.state FROM finding_case c WHERE c.id = NEW.case_id) THEN
        RAISE EXCEPTION 'clue % goes with its case', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_finding_with_case';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state NOT IN ('DETECTED', 'ASSIGNED', 'NOTIFIED', 'MERGED', 'SUPPRESSED', 'WITHDRAWN')
       AND (NEW.case_id, NEW.rule, NEW.facts, NEW.params, NEW.evidence_for, NEW.evidence_against, NEW.concerned_id)
           IS DISTINCT FROM (OLD.case_id, OLD.rule, OLD.facts, OLD.params, OLD.evidence_for, OLD.evidence_against, OLD.concerned_id) THEN
        RAISE EXCEPTION 'clue % has been answered: what it says is frozen', NEW.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON finding FOR EACH ROW EXECUTE FUNCTION finding_guard();

-- A proposal is frozen as it was made; it is decided once, by a second person, and an approved one can be ended early.
CREATE FUNCTION suppression_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'PROPOSED'
       OR TG_OP = 'UPDATE' AND ((OLD.state, NEW.state) NOT IN (('PROPOSED', 'APPROVED'), ('PROPOSED', 'DECLINED'), ('APPROVED', 'ENDED'))
       OR NEW.state <> 'ENDED' AND NEW.decided_by IS DISTINCT FROM fleet_actor_id()
       OR to_jsonb(NEW) - '{state,decided_by,decided_at,decision_note,end_on}'::text[]
          IS DISTINCT FROM to_jsonb(OLD) - '{state,decided_by,decided_at,decision_note,end_on}'::text[]
       OR NEW.end_on > OLD.end_on OR NEW.state <> 'ENDED' AND NEW.end_on <> OLD.end_on) THEN
        RAISE EXCEPTION 'a proposal is decided once, as it was made' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_suppression_step';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON suppression FOR EACH ROW EXECUTE FUNCTION suppression_guard();

-- A drawn trip is reviewed once.
CREATE FUNCTION sample_item_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.verdict IS NOT NULL OR NEW.verdict IS NULL OR NEW.reviewer_id IS DISTINCT FROM fleet_actor_id()
       OR (NEW.run_id, NEW.trip_id, NEW.org_id) IS DISTINCT FROM (OLD.run_id, OLD.trip_id, OLD.org_id) THEN
        RAISE EXCEPTION 'a drawn trip is reviewed once' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_sample_item_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON sample_item FOR EACH ROW EXECUTE FUNCTION sample_item_guard();
