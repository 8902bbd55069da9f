-- Approval: chains stay as published, decisions are appended, nobody decides what is their own, a signature is really there.
CALL fleet_append_only('approval_chain', 'approval_level', 'approval_step');
REVOKE UPDATE ON approval_chain, approval_level, approval_step FROM fleet_app;
CALL fleet_keep('approval_case', 'approval_task', 'approval_delegation', 'order_change');

-- Chains and who stands in for whom are a directory; only who maintains them writes them. What is asked follows its subject.
CALL fleet_scope('approval_chain', 'true');
ALTER POLICY scope ON approval_chain WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('approval_level', 'true');
ALTER POLICY scope ON approval_level WITH CHECK (EXISTS (
    SELECT 1 FROM approval_chain c WHERE c.id = chain_id AND c.org_id IN (SELECT fleet_visible_orgs())));
CALL fleet_scope('approval_delegation', 'true');
ALTER POLICY scope ON approval_delegation WITH CHECK (delegator_id = fleet_actor_id() OR org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('approval_case', 'org_id IN (SELECT fleet_visible_orgs()) OR subject_id IN (SELECT fleet_approval_subjects())');
CALL fleet_scope('approval_task', 'EXISTS (SELECT 1 FROM approval_case c WHERE c.id = case_id)');
CALL fleet_scope('approval_step', 'EXISTS (SELECT 1 FROM approval_case c WHERE c.id = case_id)');
CALL fleet_scope('order_change', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)');

CREATE FUNCTION approval_chain_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.published_by IS NOT NULL AND NEW.valid_from < (NEW.published_at AT TIME ZONE 'Asia/Shanghai')::date THEN
        RAISE EXCEPTION 'a chain cannot begin before it is published' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_chain_backdated';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON approval_chain FOR EACH ROW EXECUTE FUNCTION approval_chain_guard();

-- A level belongs to a chain of the same transaction: a published chain gets no more levels.
CREATE FUNCTION approval_level_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM approval_case c WHERE c.chain_id = NEW.chain_id) THEN
        RAISE EXCEPTION 'chain % is in use: it gets no more levels', NEW.chain_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON approval_level FOR EACH ROW EXECUTE FUNCTION approval_level_guard();

-- A task is agreed to when its signatures suffice.
CREATE FUNCTION approval_signed(t approval_task) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT CASE t.mode
        WHEN 'any' THEN EXISTS (SELECT 1 FROM approval_step s WHERE s.task_id = t.id AND s.verdict = 'agree')
        ELSE cardinality(t.user_ids) > 0 AND t.user_ids <@ (
            SELECT coalesce(array_agg(s.for_id), '{}') FROM approval_step s WHERE s.task_id = t.id AND s.verdict = 'agree')
    END
$$;

CREATE FUNCTION approval_case_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'OPEN' OR EXISTS (SELECT 1 FROM travel_order o WHERE o.id = NEW.subject_id
                                          AND NOT ARRAY[o.applicant_id, o.filed_by_id] <@ NEW.barred_ids) THEN
            RAISE EXCEPTION 'a case begins open, and bars whoever applied and filed'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_case_barred';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'OPEN' OR to_jsonb(NEW) - '{state,closed_at,version}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{state,closed_at,version}'::text[] THEN
        RAISE EXCEPTION 'case % is closed, or frozen as it was opened', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'AGREED' AND (
        NOT EXISTS (SELECT 1 FROM approval_task t WHERE t.case_id = NEW.id AND t.state = 'AGREED')
        OR EXISTS (SELECT 1 FROM approval_task t WHERE t.case_id = NEW.id AND (
            t.state IN ('OPEN', 'WAITING') OR t.state = 'AGREED' AND NOT approval_signed(t)))
        OR NEW.facts -> 'flags' ? 'late' AND NOT EXISTS (
            SELECT 1 FROM approval_task t JOIN organisation o ON o.id = t.seat_org_id
            WHERE t.case_id = NEW.id AND t.state = 'AGREED' AND o.parent_id IS NULL)
    ) THEN
        RAISE EXCEPTION 'case % is not signed by every level', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_case_signed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON approval_case FOR EACH ROW EXECUTE FUNCTION approval_case_guard();

CREATE FUNCTION approval_task_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM approval_case c WHERE c.id = NEW.case_id AND c.barred_ids && NEW.user_ids AND NEW.state IN ('OPEN', 'AGREED')) THEN
        RAISE EXCEPTION 'whoever applied or filed is not asked to decide' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_task_barred';
    END IF;
    IF TG_OP = 'INSERT' AND NEW.state NOT IN ('WAITING', 'OPEN') OR TG_OP = 'UPDATE' AND (
        OLD.state IN ('REDONE', 'DROPPED') OR OLD.state = 'AGREED' AND NEW.state <> 'REDONE' AND NEW.state <> 'AGREED'
        OR (NEW.case_id, NEW.level, NEW.name, NEW.origin) IS DISTINCT FROM (OLD.case_id, OLD.level, OLD.name, OLD.origin)
        OR OLD.state = 'AGREED' AND (NEW.mode, NEW.user_ids) IS DISTINCT FROM (OLD.mode, OLD.user_ids)) THEN
        RAISE EXCEPTION 'task % is done', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'AGREED' AND NOT approval_signed(NEW) THEN
        RAISE EXCEPTION 'task % is not signed', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_task_signed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON approval_task FOR EACH ROW EXECUTE FUNCTION approval_task_guard();

-- A decision is the actor's own, in their name or that of somebody who let them, on the open task, never on what is theirs.
CREATE FUNCTION approval_step_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE c approval_case; t approval_task;
BEGIN
    SELECT * INTO c FROM approval_case WHERE id = NEW.case_id;
    NEW.org_id := c.org_id;
    IF NEW.verdict IN ('escalate', 'end', 'remind') THEN
        RETURN NEW;
    END IF;
    SELECT * INTO t FROM approval_task WHERE id = NEW.task_id AND case_id = NEW.case_id;
    IF c.barred_ids && ARRAY[NEW.user_id, NEW.for_id, coalesce(NEW.to_id, NEW.for_id)] THEN
        RAISE EXCEPTION 'nobody decides what is their own' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_step_own';
    END IF;
    IF EXISTS (SELECT 1 FROM assignment a JOIN driver d ON d.id = a.driver_id WHERE a.order_id = c.subject_id AND a.state = 'ACTIVE'
               AND (d.user_id IN (NEW.user_id, NEW.for_id) OR a.assigned_by IN (NEW.user_id, NEW.for_id))) THEN
        RAISE EXCEPTION 'who drives or dispatches an order does not approve it' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_step_separation';
    END IF;
    IF c.state IS DISTINCT FROM 'OPEN' OR t.state IS DISTINCT FROM 'OPEN' OR NOT NEW.for_id = ANY (t.user_ids)
       OR NEW.user_id <> coalesce(fleet_actor_id(), NEW.user_id)
       OR NEW.user_id <> NEW.for_id AND NOT EXISTS (
           SELECT 1 FROM approval_delegation d JOIN organisation scope ON scope.id = d.org_id JOIN organisation unit ON unit.id = c.org_id
           WHERE d.delegator_id = NEW.for_id AND d.delegate_id = NEW.user_id AND d.ended_at IS NULL AND d.during @> NEW.at
           AND starts_with(unit.path, scope.path)) THEN
        RAISE EXCEPTION 'task % does not wait for this person', NEW.task_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_approval_step_asked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON approval_step FOR EACH ROW EXECUTE FUNCTION approval_step_guard();

CREATE FUNCTION approval_delegation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at' THEN
        RAISE EXCEPTION 'delegation % stays as it was made; it can be ended, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON approval_delegation FOR EACH ROW EXECUTE FUNCTION approval_delegation_guard();

-- An order becomes approved by an agreed case of its own, or as part of an emergency in force, whose leader approved it by word of
-- mouth (emergency.sql); no approver of it drives or dispatches it.
CREATE FUNCTION travel_order_approved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM approval_case c WHERE c.id = NEW.approval_case_id AND c.subject = 'order' AND c.subject_id = NEW.id AND c.state = 'AGREED')
       AND NOT emergency_approved(NEW) THEN
        RAISE EXCEPTION 'order % is not agreed to by its levels', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_travel_order_agreed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approved AFTER UPDATE OF state ON travel_order FOR EACH ROW
    WHEN (NEW.state = 'APPROVED' AND OLD.state IN ('SUBMITTED', 'APPROVING', 'SENT_BACK')) EXECUTE FUNCTION travel_order_approved();

CREATE FUNCTION assignment_separation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM approval_step s JOIN approval_case c ON c.id = s.case_id, driver d
               WHERE c.subject_id = NEW.order_id AND s.verdict = 'agree' AND d.id = NEW.driver_id
               AND (d.user_id IN (s.user_id, s.for_id) OR NEW.assigned_by IN (s.user_id, s.for_id))) THEN
        RAISE EXCEPTION 'who approved an order neither drives nor dispatches it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_separation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER separation BEFORE INSERT OR UPDATE OF driver_id, assigned_by ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_separation();

-- A change stays as asked; it stands on an agreed case, or only shortens the window; applied, the order says just that.
CREATE FUNCTION order_change_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE o travel_order;
BEGIN
    SELECT * INTO o FROM travel_order WHERE id = NEW.order_id;
    IF TG_OP = 'INSERT' AND (NEW.state NOT IN ('REQUESTED', 'APPROVED') OR NEW.before <> order_content(o))
    OR TG_OP = 'UPDATE' AND (
        (OLD.state, NEW.state) NOT IN (('REQUESTED', 'REQUESTED'), ('REQUESTED', 'APPROVED'), ('REQUESTED', 'REJECTED'), ('REQUESTED', 'WITHDRAWN'),
                                       ('APPROVED', 'APPLIED'), ('APPROVED', 'WITHDRAWN'))
        OR OLD.approval_case_id IS NOT NULL AND NEW.approval_case_id IS DISTINCT FROM OLD.approval_case_id
        OR to_jsonb(NEW) - '{state,applied_at,redispatch,approval_case_id}'::text[]
           IS DISTINCT FROM to_jsonb(OLD) - '{state,applied_at,redispatch,approval_case_id}'::text[]) THEN
        RAISE EXCEPTION 'change % stays as it was asked', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'APPROVED' AND NOT (CASE WHEN NEW.approval_case_id IS NULL
        THEN NEW.after - '{start_at,end_at}'::text[] = NEW.before - '{start_at,end_at}'::text[]
             AND NEW.after ->> 'start_at' >= NEW.before ->> 'start_at' AND NEW.after ->> 'end_at' <= NEW.before ->> 'end_at'
        ELSE EXISTS (SELECT 1 FROM approval_case c WHERE c.id = NEW.approval_case_id AND c.subject = 'change' AND c.subject_id = NEW.order_id
                     AND c.state = 'AGREED' AND c.facts ->> 'change' = NEW.id::text) END) THEN
        RAISE EXCEPTION 'change % is not agreed to', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_order_change_agreed';
    END IF;
    IF NEW.state = 'APPLIED' AND order_content(o) IS DISTINCT FROM NEW.after THEN
        RAISE EXCEPTION 'order % does not say what change % says', NEW.order_id, NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON order_change FOR EACH ROW EXECUTE FUNCTION order_change_guard();
