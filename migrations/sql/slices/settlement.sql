-- Settlement: charges, their lines, adjustments and steps are appended; an agreed statement is frozen; an order is settled once.
CALL fleet_append_only('charge', 'charge_line', 'adjustment', 'statement_event');
REVOKE UPDATE ON charge, charge_line, adjustment, statement_event FROM fleet_app;
CALL fleet_keep('statement', 'statement_dispute', 'charge_gap');
CALL fleet_scope('charge', 'org_id IN (SELECT fleet_visible_orgs()) OR holder_org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('charge_line', 'EXISTS (SELECT 1 FROM charge c WHERE c.id = charge_id)');
CALL fleet_scope('charge_gap', 'org_id IN (SELECT fleet_visible_orgs()) OR holder_org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('statement', 'org_id IN (SELECT fleet_visible_orgs()) OR payee_org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('statement_dispute', 'EXISTS (SELECT 1 FROM statement s WHERE s.id = statement_id)');
CALL fleet_scope('statement_event', 'EXISTS (SELECT 1 FROM statement s WHERE s.id = statement_id)');
CALL fleet_scope('adjustment', 'EXISTS (SELECT 1 FROM statement s WHERE s.id = statement_id)');

CREATE FUNCTION statement_sum(statement bigint) RETURNS numeric LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce((SELECT sum(c.amount) FROM charge c WHERE c.statement_id = statement), 0)
         + coalesce((SELECT sum(a.amount) FROM adjustment a WHERE a.statement_id = statement), 0)
$$;

CREATE FUNCTION statement_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF (NEW.org_id, NEW.payee_org_id, NEW.period, NEW.created_at) IS DISTINCT FROM (OLD.org_id, OLD.payee_org_id, OLD.period, OLD.created_at)
       OR (OLD.number IS NOT NULL AND NEW.number IS DISTINCT FROM OLD.number) THEN
        RAISE EXCEPTION 'whose statement it is does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = 'PAID' OR (OLD.state = 'CONFIRMED' AND (NEW.state <> 'PAID' OR (NEW.total, NEW.confirmed_by, NEW.confirmed_at, NEW.edition, NEW.issued_at)
       IS DISTINCT FROM (OLD.total, OLD.confirmed_by, OLD.confirmed_at, OLD.edition, OLD.issued_at))) THEN
        RAISE EXCEPTION 'statement % is agreed: it is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (('DRAFT', 'ISSUED'), ('ISSUED', 'DISPUTED'), ('DISPUTED', 'ISSUED'), ('ISSUED', 'CONFIRMED'),
       ('CONFIRMED', 'PAID')) THEN
        RAISE EXCEPTION 'a statement does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statement_step';
    END IF;
    IF NEW.state IN ('ISSUED', 'CONFIRMED', 'PAID') AND (NEW.total IS DISTINCT FROM statement_sum(NEW.id) OR EXISTS (
        SELECT 1 FROM statement_dispute d WHERE d.statement_id = NEW.id AND d.answered_at IS NULL)) THEN
        RAISE EXCEPTION 'the total of % is not the sum of its lines, or a line is disputed', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statement_sum';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE UPDATE ON statement FOR EACH ROW EXECUTE FUNCTION statement_step();

CREATE FUNCTION statement_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a statement begins as a draft' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statement_step';
END $$;
CREATE TRIGGER begins BEFORE INSERT ON statement FOR EACH ROW WHEN (NEW.state <> 'DRAFT') EXECUTE FUNCTION statement_begins();

-- A charge is of a confirmed order of its unit and goes into a draft between the same two; its lines are its amount.
CREATE FUNCTION charge_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM travel_order o WHERE o.id = NEW.order_id AND o.org_id = NEW.org_id AND o.state = 'MILEAGE_CONFIRMED') THEN
        RAISE EXCEPTION 'order % is not confirmed', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_charge_unconfirmed';
    END IF;
    IF NEW.statement_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM statement s WHERE s.id = NEW.statement_id AND s.state = 'DRAFT'
       AND s.org_id = NEW.org_id AND s.payee_org_id = NEW.holder_org_id) THEN
        RAISE EXCEPTION 'statement % takes no charge of order %', NEW.statement_id, NEW.order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_charge_statement';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT ON charge FOR EACH ROW EXECUTE FUNCTION charge_fits();

CREATE FUNCTION charge_adds_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE touched bigint := CASE TG_TABLE_NAME WHEN 'charge' THEN NEW.id ELSE (to_jsonb(NEW) ->> 'charge_id')::bigint END;
BEGIN
    IF EXISTS (SELECT 1 FROM charge c WHERE c.id = touched
               AND c.amount <> coalesce((SELECT sum(l.amount) FROM charge_line l WHERE l.charge_id = c.id), 0)) THEN
        RAISE EXCEPTION 'the lines of charge % are not its amount', touched USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_charge_sum';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER adds_up AFTER INSERT ON charge DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.kind <> 'outsourced') EXECUTE FUNCTION charge_adds_up();
CREATE CONSTRAINT TRIGGER adds_up AFTER INSERT ON charge_line DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION charge_adds_up();

CREATE FUNCTION adjustment_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM statement s JOIN charge c ON (c.org_id, c.holder_org_id) = (s.org_id, s.payee_org_id)
                   WHERE s.id = NEW.statement_id AND c.id = NEW.charge_id AND s.state IN ('DRAFT', 'DISPUTED')) THEN
        RAISE EXCEPTION 'statement % takes no correction', NEW.statement_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_adjustment_statement';
    END IF;
    IF (SELECT c.amount FROM charge c WHERE c.id = NEW.charge_id)
       + coalesce((SELECT sum(a.amount) FROM adjustment a WHERE a.charge_id = NEW.charge_id), 0) + NEW.amount < 0 THEN
        RAISE EXCEPTION 'charge % would fall below zero', NEW.charge_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_adjustment_below';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT ON adjustment FOR EACH ROW EXECUTE FUNCTION adjustment_fits();

CREATE FUNCTION statement_dispute_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.answered_at IS NOT NULL OR (NEW.statement_id, NEW.charge_id, NEW.reason, NEW.raised_by, NEW.raised_at)
       IS DISTINCT FROM (OLD.statement_id, OLD.charge_id, OLD.reason, OLD.raised_by, OLD.raised_at)) THEN
        RAISE EXCEPTION 'what was said about a line stays' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM statement s JOIN charge c ON c.statement_id = s.id WHERE s.id = NEW.statement_id AND c.id = NEW.charge_id
                   AND s.state IN ('ISSUED', 'DISPUTED')) THEN
        RAISE EXCEPTION 'statement % is not open for disputes', NEW.statement_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statement_dispute_closed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT OR UPDATE ON statement_dispute FOR EACH ROW EXECUTE FUNCTION statement_dispute_step();

-- An order is settled once, from its confirmed mileage, by a charge that needs no statement or whose statement is agreed.
CREATE FUNCTION travel_order_settled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF OLD.state IN ('SETTLED', 'CLOSED') AND (OLD.state, NEW.state) <> ('SETTLED', 'CLOSED')
       OR NEW.state = 'CLOSED' AND OLD.state <> 'SETTLED'
       OR NEW.state = 'SETTLED' AND (OLD.state <> 'MILEAGE_CONFIRMED' OR NOT EXISTS (
            SELECT 1 FROM charge c LEFT JOIN statement s ON s.id = c.statement_id
            WHERE c.order_id = NEW.id AND (c.kind <> 'paid' OR s.state IN ('CONFIRMED', 'PAID')))) THEN
        RAISE EXCEPTION 'order % is settled once, after its mileage and its charge are confirmed', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_travel_order_settled';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settled BEFORE UPDATE OF state ON travel_order FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (NEW.state IN ('SETTLED', 'CLOSED') OR OLD.state IN ('SETTLED', 'CLOSED')))
    EXECUTE FUNCTION travel_order_settled();
