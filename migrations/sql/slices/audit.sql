-- Published heads of the chain: what was handed out is never taken back. They name nobody and nothing, so anybody may read them.
CALL fleet_append_only('audit_published_head');
REVOKE UPDATE ON audit_published_head FROM fleet_app;
ALTER TABLE audit_published_head ENABLE ROW LEVEL SECURITY;
CREATE POLICY directory ON audit_published_head FOR SELECT TO fleet_app USING (true);
CREATE POLICY system ON audit_published_head FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all());
-- A head is an entry of the chain, or its beginning.
CREATE FUNCTION audit_published_head_true() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NEW.seq > 0 AND NOT EXISTS (SELECT FROM audit_entry e WHERE e.seq = NEW.seq AND encode(e.hash, 'hex') = NEW.hash) THEN
        RAISE EXCEPTION 'entry % of the audit chain has another hash', NEW.seq USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER true_head BEFORE INSERT ON audit_published_head FOR EACH ROW EXECUTE FUNCTION audit_published_head_true();
