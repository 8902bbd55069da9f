-- Sharing: steps are appended, what was said stays said, a vehicle is lent once at a time and only while it can serve; the
-- borrower sees it while the loan lives and changes nothing of it but its odometer.
CALL fleet_append_only('share_event');
REVOKE UPDATE ON share_event FROM fleet_app;
CALL fleet_keep('share_offer', 'share_request', 'share_loan', 'fallback');

-- Who sits in or above one of the actor's organisations: an offer to a district is read by all its units.
CREATE FUNCTION share_offered(to_org bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT EXISTS (SELECT 1 FROM organisation mine WHERE mine.id IN (SELECT fleet_visible_orgs())
                   AND (to_org IS NULL OR starts_with(mine.path, (SELECT o.path FROM organisation o WHERE o.id = to_org))))
$$;
CALL fleet_scope('share_offer', 'org_id IN (SELECT fleet_visible_orgs()) OR share_offered(to_org_id)');
ALTER POLICY scope ON share_offer WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('share_request', 'org_id IN (SELECT fleet_visible_orgs()) OR to_org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('share_loan', 'org_id IN (SELECT fleet_visible_orgs()) OR to_org_id IN (SELECT fleet_visible_orgs())');
-- A request is made in one's own name, a loan by its holder; the other side only answers, or gives back.
CREATE POLICY own ON share_request AS RESTRICTIVE FOR INSERT TO fleet_app WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CREATE POLICY own ON share_loan AS RESTRICTIVE FOR INSERT TO fleet_app WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('share_event', 'CASE WHEN loan_id IS NULL THEN request_id IN (SELECT r.id FROM share_request r)'
    ' ELSE loan_id IN (SELECT l.id FROM share_loan l) END');
CALL fleet_scope('fallback', 'org_id IN (SELECT fleet_visible_orgs())');

-- The borrower's part of the tree sees the vehicle and the driver while the loan lives; its end takes both out of sight.
DO $$
DECLARE living constant text := '(SELECT l.%s_id FROM share_loan l WHERE l.state IN (''AGREED'', ''RECALLED''))';
BEGIN
    EXECUTE format('ALTER POLICY scope ON vehicle USING (org_id IN (SELECT fleet_visible_orgs()) OR EXISTS (SELECT 1 FROM assignment a WHERE a.vehicle_id = vehicle.id) OR id IN %s)',
                   format(living, 'vehicle'));
    EXECUTE format('ALTER POLICY scope ON driver USING (org_id IN (SELECT fleet_visible_orgs()) OR user_id = fleet_actor_id()'
                   ' OR EXISTS (SELECT 1 FROM assignment a WHERE a.driver_id = driver.id) OR id IN %s)', format(living, 'driver'));
END $$;
-- Its drivers enter the odometer; nothing else of the record is theirs, which the trigger sees to.
ALTER POLICY scope ON vehicle WITH CHECK (org_id IN (SELECT fleet_visible_orgs()) OR EXISTS (
    SELECT 1 FROM share_loan l WHERE l.vehicle_id = vehicle.id AND l.org_id = vehicle.org_id AND l.state IN ('AGREED', 'RECALLED')));

CREATE FUNCTION vehicle_lent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'fleet_app' AND OLD.org_id NOT IN (SELECT fleet_visible_orgs())
       AND EXISTS (SELECT 1 FROM share_loan l WHERE l.vehicle_id = OLD.id AND l.state IN ('AGREED', 'RECALLED'))
       AND to_jsonb(NEW) - '{odometer_m,version}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{odometer_m,version}'::text[] THEN
        RAISE EXCEPTION '% is on loan: its record is its holder''s to change', OLD.plate USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lent BEFORE UPDATE ON vehicle FOR EACH ROW EXECUTE FUNCTION vehicle_lent();

CREATE FUNCTION share_offer_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL OR to_jsonb(NEW) - '{withdrawn_at,withdrawn_by}'::text[]
       IS DISTINCT FROM to_jsonb(OLD) - '{withdrawn_at,withdrawn_by}'::text[] THEN
        RAISE EXCEPTION 'offer % stands as it is: it can only be withdrawn, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON share_offer FOR EACH ROW EXECUTE FUNCTION share_offer_frozen();

CREATE FUNCTION share_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'PENDING' THEN
            RAISE EXCEPTION 'a request begins unanswered' USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF OLD.state <> 'PENDING' OR to_jsonb(NEW) - '{state,answered_by,answered_at,answer_note,version}'::text[]
          IS DISTINCT FROM to_jsonb(OLD) - '{state,answered_by,answered_at,answer_note,version}'::text[] THEN
        RAISE EXCEPTION 'request % is answered, or asked as it is', OLD.number USING ERRCODE = 'restrict_violation';
    ELSIF NEW.state IN ('ACCEPTED', 'DECLINED') AND NEW.to_org_id NOT IN (SELECT fleet_visible_orgs()) THEN
        RAISE EXCEPTION 'request % is answered by whoever was asked', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON share_request FOR EACH ROW EXECUTE FUNCTION share_request_guard();

-- Lent is what its holder has in service, not sealed over the days, not on an order of anybody else meanwhile. A loan begins
-- agreed, its end comes nearer only, and after its last step it stays as it is.
CREATE FUNCTION share_loan_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE days daterange;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.state IN ('CALLED_OFF', 'RETURNED', 'ENDED') OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
               ('AGREED', 'RECALLED'), ('AGREED', 'CALLED_OFF'), ('AGREED', 'RETURNED'), ('AGREED', 'ENDED'), ('RECALLED', 'RETURNED'), ('RECALLED', 'ENDED')))
           OR NOT OLD.during @> NEW.during OR lower(NEW.during) <> lower(OLD.during)
           OR to_jsonb(NEW) - '{state,during,end_reason,version}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{state,during,end_reason,version}'::text[] THEN
            RAISE EXCEPTION 'loan % is over, or agreed as it is', OLD.number USING ERRCODE = 'restrict_violation';
        END IF;
        IF NEW.state = 'RETURNED' AND EXISTS (
            SELECT 1 FROM assignment a JOIN travel_order o ON o.id = a.order_id JOIN organisation u ON u.id = a.order_org_id
            WHERE a.vehicle_id = NEW.vehicle_id AND a.state = 'ACTIVE' AND o.state IN ('CHECKED_OUT', 'EN_ROUTE')
            AND starts_with(u.path, (SELECT b.path FROM organisation b WHERE b.id = NEW.to_org_id))) THEN
            RAISE EXCEPTION 'vehicle % is still out', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_out';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    IF NEW.state <> 'AGREED' OR NOT EXISTS (SELECT 1 FROM vehicle v WHERE v.id = NEW.vehicle_id AND v.org_id = NEW.org_id)
       OR (NEW.driver_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM driver d WHERE d.id = NEW.driver_id AND d.org_id = NEW.org_id AND d.left_at IS NULL)) THEN
        RAISE EXCEPTION 'a loan begins agreed, of the holder''s own vehicle and driver' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_holder';
    END IF;
    IF (SELECT v.state FROM vehicle v WHERE v.id = NEW.vehicle_id) <> 'IN_SERVICE' THEN
        RAISE EXCEPTION 'vehicle % is not in service', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_in_service';
    END IF;
    days := daterange((lower(NEW.during) AT TIME ZONE 'Asia/Shanghai')::date, (upper(NEW.during) AT TIME ZONE 'Asia/Shanghai')::date, '[]');
    IF EXISTS (SELECT 1 FROM seal_record r WHERE r.vehicle_id = NEW.vehicle_id AND r.state IN ('TO_SEAL', 'SEALED') AND r.during && days) THEN
        RAISE EXCEPTION 'vehicle % is to be sealed in that time', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_sealed';
    END IF;
    IF EXISTS (SELECT 1 FROM hold h WHERE h.released_at IS NULL AND h.during && NEW.during
               AND (h.vehicle_id = NEW.vehicle_id OR h.driver_id = NEW.driver_id)) THEN
        RAISE EXCEPTION 'vehicle % is kept for something else', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_held';
    END IF;
    IF EXISTS (SELECT 1 FROM assignment a JOIN organisation o ON o.id = a.order_org_id WHERE a.state = 'ACTIVE' AND a.during && NEW.during
               AND (a.vehicle_id = NEW.vehicle_id OR a.driver_id = NEW.driver_id)
               AND NOT starts_with(o.path, (SELECT b.path FROM organisation b WHERE b.id = NEW.to_org_id))) THEN
        RAISE EXCEPTION 'vehicle % serves another order in that time', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_share_loan_booked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON share_loan FOR EACH ROW EXECUTE FUNCTION share_loan_guard();

-- While a vehicle (or driver) is lent it serves nobody but the borrower.
CREATE FUNCTION assignment_lent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    IF EXISTS (SELECT 1 FROM share_loan l JOIN organisation b ON b.id = l.to_org_id
               WHERE (l.vehicle_id = NEW.vehicle_id OR l.driver_id = NEW.driver_id) AND l.state IN ('AGREED', 'RECALLED') AND l.during && NEW.during
               AND NOT starts_with((SELECT o.path FROM organisation o WHERE o.id = NEW.order_org_id), b.path)) THEN
        RAISE EXCEPTION 'vehicle % is lent to another unit', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_lent';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lent BEFORE INSERT ON assignment FOR EACH ROW WHEN (NEW.state = 'ACTIVE') EXECUTE FUNCTION assignment_lent();

CREATE FUNCTION fallback_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.bill_no IS NOT NULL OR to_jsonb(NEW) - 'bill_no' IS DISTINCT FROM to_jsonb(OLD) - 'bill_no' THEN
        RAISE EXCEPTION 'how order % was served is on record: its bill is added, once', OLD.order_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON fallback FOR EACH ROW EXECUTE FUNCTION fallback_frozen();
