-- The chain quota > indicator > budget > procurement. What is authorised is a ledger; what is decided is frozen.
CALL fleet_append_only('quota_entry', 'indicator_event', 'budget_line');
REVOKE UPDATE ON quota_entry, indicator_event, budget_line FROM fleet_app;
CALL fleet_keep('indicator', 'procurement');
CALL fleet_scope('quota_entry', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('indicator', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('indicator_event', 'EXISTS (SELECT 1 FROM indicator i WHERE i.id = indicator_id)');
CALL fleet_scope('budget_line', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('procurement', 'org_id IN (SELECT fleet_visible_orgs())');

-- The quota identity (党政机关公务用车管理办法 Art. 6): vehicles of the class that are not disposed of, plus approved indicators
-- that are not used yet, less old vehicles that an approved or used renewal will replace, are at most what is authorised.
CREATE FUNCTION quota_free(unit bigint, class text, on_day date) RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public AS $$
    SELECT (SELECT coalesce(sum(q.delta), 0) FROM quota_entry q WHERE q.org_id = unit AND q.category = class AND q.effective_on <= on_day)
         - (SELECT count(*) FROM vehicle v WHERE v.org_id = unit AND v.category = class AND v.state <> 'RETIRED' AND v.management_mode <> 'rented')
         - (SELECT count(*) FROM indicator i WHERE i.org_id = unit AND i.category = class AND i.state = 'APPROVED' AND i.kind <> 'rental')
         + (SELECT count(*) FROM indicator i JOIN vehicle v ON v.id = i.old_vehicle_id
            WHERE i.org_id = unit AND v.org_id = unit AND v.category = class AND v.state <> 'RETIRED' AND i.state IN ('APPROVED', 'USED'))
$$;

-- Decided content is frozen; approvals take their turn per unit and class, so that of two for the last place one wins.
CREATE FUNCTION indicator_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state NOT IN ('DRAFT', 'RETURNED')
       AND to_jsonb(NEW) - '{state,reviewed_by,decided_by,decided_at,vehicle_id,version}'::text[]
           IS DISTINCT FROM to_jsonb(OLD) - '{state,reviewed_by,decided_by,decided_at,vehicle_id,version}'::text[] THEN
        RAISE EXCEPTION 'indicator % is submitted: its content is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'APPROVED' AND (TG_OP = 'INSERT' OR OLD.state <> 'APPROVED') AND NEW.kind <> 'rental' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('quota ' || NEW.category, NEW.org_id));
        IF quota_free(NEW.org_id, NEW.category, (NEW.decided_at AT TIME ZONE 'Asia/Shanghai')::date)
           + (SELECT count(*) FROM vehicle v WHERE v.id = NEW.old_vehicle_id AND v.org_id = NEW.org_id
              AND v.category = NEW.category AND v.state <> 'RETIRED') < 1 THEN
            RAISE EXCEPTION 'no free quota of class % for indicator %', NEW.category, NEW.number
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_indicator_quota';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state IN ('REJECTED', 'WITHDRAWN', 'EXPIRED', 'CANCELLED', 'USED') AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'indicator % is closed', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON indicator FOR EACH ROW EXECUTE FUNCTION indicator_guard();

CREATE FUNCTION budget_line_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one indicator%ROWTYPE;
BEGIN
    SELECT * INTO one FROM indicator WHERE id = NEW.indicator_id FOR SHARE;
    IF one.state IS DISTINCT FROM 'APPROVED' THEN
        RAISE EXCEPTION 'budget without an approved indicator' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_budget_line_indicator';
    END IF;
    IF one.kind = 'transfer' THEN
        RAISE EXCEPTION 'a transfer in is not bought' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_budget_line_indicator';
    END IF;
    IF NEW.amount > one.max_price OR NEW.fiscal_year <> one.fiscal_year OR NEW.org_id <> one.org_id THEN
        RAISE EXCEPTION 'budget beyond indicator %', one.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_budget_line_beyond';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON budget_line FOR EACH ROW EXECUTE FUNCTION budget_line_guard();

CREATE FUNCTION procurement_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one indicator%ROWTYPE; money budget_line%ROWTYPE;
BEGIN
    SELECT * INTO one FROM indicator WHERE id = NEW.indicator_id;
    SELECT * INTO money FROM budget_line WHERE id = NEW.budget_line_id;
    IF money.indicator_id IS DISTINCT FROM NEW.indicator_id OR one.org_id IS DISTINCT FROM NEW.org_id THEN
        RAISE EXCEPTION 'purchase, budget and indicator do not belong together' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_procurement_chain';
    END IF;
    IF TG_OP = 'INSERT' AND one.state IS DISTINCT FROM 'APPROVED' THEN
        RAISE EXCEPTION 'purchase without an approved indicator' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_procurement_indicator';
    END IF;
    IF NEW.price > least(one.max_price, money.amount) THEN
        RAISE EXCEPTION 'price % above indicator or budget', NEW.price USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_procurement_price_cap';
    END IF;
    IF NEW.contract_on >= one.expires_on THEN
        RAISE EXCEPTION 'indicator % had expired', one.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_procurement_expired';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state NOT IN ('OPEN') AND (NEW.contract_no, NEW.contract_on, NEW.price, NEW.supplier, NEW.model)
       IS DISTINCT FROM (OLD.contract_no, OLD.contract_on, OLD.price, OLD.supplier, OLD.model) THEN
        RAISE EXCEPTION 'the contract is signed: it cannot change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON procurement FOR EACH ROW EXECUTE FUNCTION procurement_guard();

-- A vehicle changes its unit only under an indicator of the receiving unit, so that it takes a place there.
CREATE FUNCTION vehicle_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM indicator i WHERE i.vehicle_id = NEW.id AND i.org_id = NEW.org_id AND i.kind = 'transfer'
                   AND i.category = NEW.category AND i.state = 'USED') THEN
        RAISE EXCEPTION '% changes its unit without an indicator of the receiving unit', NEW.plate
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_moved';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER moved AFTER UPDATE OF org_id ON vehicle FOR EACH ROW WHEN (NEW.org_id <> OLD.org_id) EXECUTE FUNCTION vehicle_moved();
