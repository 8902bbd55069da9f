-- Policy figures. A row is added, never altered: a later row of the same code and scope ends the period of the one before it, and
-- a row that is not in force yet may be withdrawn, which gives that period back. Everybody may read; who maintains a scope writes.
CALL fleet_keep('policy_value');
REVOKE UPDATE ON policy_value FROM fleet_app;
GRANT UPDATE (withdrawn_at, withdrawn_by, withdrawn_reason) ON policy_value TO fleet_app;

CREATE FUNCTION fleet_maintains(unit bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT fleet_sees_all() OR EXISTS (
        SELECT 1 FROM organisation o WHERE (o.id = unit OR unit IS NULL AND o.parent_id IS NULL) AND o.id IN (SELECT fleet_visible_orgs()))
$$;
ALTER TABLE policy_value ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_all ON policy_value FOR SELECT TO fleet_app USING (true);
CREATE POLICY add_own ON policy_value FOR INSERT TO fleet_app WITH CHECK (
    fleet_maintains(org_id) AND created_by IS NOT DISTINCT FROM fleet_actor_id() AND withdrawn_at IS NULL
    AND (NOT may_relax OR fleet_maintains((SELECT o.parent_id FROM organisation o WHERE o.id = org_id))));
CREATE POLICY withdraw_own ON policy_value FOR UPDATE TO fleet_app USING (fleet_maintains(org_id))
    WITH CHECK (fleet_maintains(org_id) AND withdrawn_by IS NOT DISTINCT FROM fleet_actor_id());

-- Ends the period of the row in force on the new row's first day, and lets the new one end where a later one begins.
CREATE FUNCTION policy_value_succeed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE older policy_value%ROWTYPE; later date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('policy ' || NEW.code, 0));
    IF EXISTS (SELECT 1 FROM policy_value p WHERE p.code = NEW.code AND (p.unit, p.stricter) <> (NEW.unit, NEW.stricter)) THEN
        RAISE EXCEPTION 'unit or direction of % differs from its other rows', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_policy_value_unit';
    END IF;
    SELECT * INTO older FROM policy_value p
    WHERE p.code = NEW.code AND p.scope = NEW.scope AND p.org_id IS NOT DISTINCT FROM NEW.org_id AND p.withdrawn_at IS NULL
        AND p.valid_from <= NEW.valid_from AND (p.valid_to IS NULL OR p.valid_to > NEW.valid_from);
    IF older.id IS NOT NULL THEN
        IF older.valid_from < NEW.valid_from THEN
            UPDATE policy_value SET valid_to = NEW.valid_from WHERE id = older.id;
        ELSIF NEW.correction THEN
            UPDATE policy_value SET withdrawn_at = NEW.created_at, withdrawn_by = NEW.created_by, withdrawn_reason = NEW.reason
            WHERE id = older.id;
        ELSE
            RAISE EXCEPTION '% has a row from % on', NEW.code, NEW.valid_from
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_policy_value_same_day';
        END IF;
    END IF;
    NEW.replaces_id := older.id;
    NEW.replaced_to := older.valid_to;
    SELECT min(p.valid_from) INTO later FROM policy_value p
    WHERE p.code = NEW.code AND p.scope = NEW.scope AND p.org_id IS NOT DISTINCT FROM NEW.org_id AND p.withdrawn_at IS NULL
        AND p.valid_from > NEW.valid_from;
    NEW.valid_to := least(NEW.valid_to, later);
    RETURN NEW;
END $$;
CREATE TRIGGER succeed BEFORE INSERT ON policy_value FOR EACH ROW EXECUTE FUNCTION policy_value_succeed();

-- The only change from outside: a row that is not in force yet is withdrawn, once.
CREATE FUNCTION policy_value_frozen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE later date;
BEGIN
    IF pg_trigger_depth() > 1 THEN
        RETURN NEW;
    END IF;
    IF OLD.withdrawn_at IS NOT NULL OR NEW.withdrawn_at IS NULL
       OR OLD.valid_from <= (NEW.withdrawn_at AT TIME ZONE 'Asia/Shanghai')::date
       OR to_jsonb(NEW) - '{withdrawn_at,withdrawn_by,withdrawn_reason}'::text[]
          IS DISTINCT FROM to_jsonb(OLD) - '{withdrawn_at,withdrawn_by,withdrawn_reason}'::text[] THEN
        RAISE EXCEPTION 'figure % from % on is on record: only one not in force yet can be withdrawn, once', OLD.code, OLD.valid_from
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON policy_value FOR EACH ROW EXECUTE FUNCTION policy_value_frozen();

CREATE FUNCTION policy_value_give_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF pg_trigger_depth() = 1 AND NEW.replaces_id IS NOT NULL THEN
        UPDATE policy_value p SET valid_to = least(NEW.replaced_to, (
            SELECT min(n.valid_from) FROM policy_value n
            WHERE n.code = p.code AND n.scope = p.scope AND n.org_id IS NOT DISTINCT FROM p.org_id AND n.withdrawn_at IS NULL
                AND n.valid_from > p.valid_from))
        WHERE p.code = NEW.code AND p.scope = NEW.scope AND p.org_id IS NOT DISTINCT FROM NEW.org_id AND p.withdrawn_at IS NULL
            AND p.valid_to = NEW.valid_from;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER give_back AFTER UPDATE OF withdrawn_at ON policy_value FOR EACH ROW EXECUTE FUNCTION policy_value_give_back();
