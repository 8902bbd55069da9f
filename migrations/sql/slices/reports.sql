-- Reports made in the background belong to whoever asked, and to nobody else, whatever their part of the tree.
CALL fleet_keep('report_task');
CALL fleet_scope('report_task', 'requested_by = fleet_actor_id() OR fleet_sees_all()');
CALL fleet_scope('report_piece', 'EXISTS (SELECT FROM report_task t WHERE t.id = task_id)');
REVOKE UPDATE ON report_piece FROM fleet_app;
GRANT DELETE ON report_piece TO fleet_app;

CREATE FUNCTION report_task_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('DONE', 'FAILED', 'CANCELLED') THEN
        RAISE EXCEPTION 'report % has ended', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.org_id, NEW.format, NEW.start_on, NEW.end_on, NEW.reason, NEW.language, NEW.requested_by, NEW.requested_at)
       IS DISTINCT FROM (OLD.org_id, OLD.format, OLD.start_on, OLD.end_on, OLD.reason, OLD.language, OLD.requested_by, OLD.requested_at)
       OR OLD.state = 'RUNNING' AND NEW.state = 'QUEUED' OR OLD.state = 'QUEUED' AND NEW.state = 'DONE' THEN
        RAISE EXCEPTION 'report % is what was asked for', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON report_task FOR EACH ROW EXECUTE FUNCTION report_task_frozen();
