-- Packages of restricted vehicles: one person asks, another consents, and without that nothing leaves, whoever asks the database.
CALL fleet_keep('evidence_request');
CALL fleet_scope('evidence_request', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION evidence_request_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'REQUESTED' THEN
        RAISE EXCEPTION 'a request begins as one' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT fleet_sees_all() AND fleet_actor_id() IS DISTINCT FROM (CASE TG_OP WHEN 'INSERT' THEN NEW.requested_by ELSE NEW.decided_by END) THEN
        RAISE EXCEPTION 'nobody asks or decides in another''s name' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.state <> 'REQUESTED' OR (NEW.org_id, NEW.finding_id, NEW.reason, NEW.requested_by, NEW.requested_at)
        IS DISTINCT FROM (OLD.org_id, OLD.finding_id, OLD.reason, OLD.requested_by, OLD.requested_at)) THEN
        RAISE EXCEPTION 'request % is decided once and otherwise stays as asked', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER steps BEFORE INSERT OR UPDATE ON evidence_request FOR EACH ROW EXECUTE FUNCTION evidence_request_steps();

CREATE FUNCTION export_record_secrecy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE kept text;
BEGIN
    SELECT v.secrecy INTO kept FROM finding f JOIN vehicle v ON v.id = f.vehicle_id WHERE f.number = NEW.filters ->> 'finding';
    IF kept <> 'normal' AND (kept <> 'restricted' OR NEW.kind <> 'evidence' OR NOT EXISTS (
        SELECT FROM evidence_request r JOIN finding f ON f.id = r.finding_id
        WHERE f.number = NEW.filters ->> 'finding' AND r.requested_by = NEW.actor_id AND r.state = 'CONSENTED'
          AND r.decided_by <> r.requested_by AND NEW.at >= r.decided_at AND NEW.at < r.expires_at)) THEN
        RAISE EXCEPTION 'nothing of a % vehicle leaves without a second person''s consent', kept USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER secrecy BEFORE INSERT ON export_record FOR EACH ROW WHEN (NEW.filters ? 'finding') EXECUTE FUNCTION export_record_secrecy();
