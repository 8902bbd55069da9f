-- The chain: each entry hashes its predecessor's hash and its own content. audit_head holds the newest link; its
-- row lock puts writers in order, and it shows when the tail has been cut off.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, sha256('fleet audit chain'::bytea));

CREATE FUNCTION audit_entry_hash(e audit_entry) RETURNS bytea LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT sha256(e.prev_hash || convert_to(jsonb_build_array(
        e.seq, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.actor_id, e.actor_name,
        e.action, e.subject_type, e.subject_id, e.org_id, e.data)::text, 'UTF8'))
$$;

-- A transaction of thousands of entries leaves as many dead versions of the head behind, and a scan would read them all for
-- every entry. So it notes where its last one stands; the note is a hint only: a wrong one finds no living row.
CREATE FUNCTION audit_entry_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    head record;
    place tid := nullif(current_setting('fleet.audit_head_at', true), '');
BEGIN
    SELECT h.seq, h.hash, h.ctid AS place INTO head FROM audit_head h WHERE h.ctid = place FOR UPDATE;
    IF NOT FOUND THEN
        SELECT h.seq, h.hash, h.ctid AS place INTO STRICT head FROM audit_head h FOR UPDATE;
    END IF;
    NEW.seq := head.seq + 1;
    NEW.prev_hash := head.hash;
    NEW.hash := audit_entry_hash(NEW);
    UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash WHERE ctid = head.place RETURNING ctid INTO STRICT place;
    PERFORM set_config('fleet.audit_head_at', place::text, true);
    RETURN NEW;
END $$;
CREATE TRIGGER audit_entry_chain BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_entry_chain();

-- Every broken place of the chain with its kind: 'altered' content, 'missing' entries before it, 'tail' cut off.
CREATE FUNCTION audit_verify() RETURNS TABLE (seq bigint, fault text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    WITH chain AS (
        SELECT e.seq, e.prev_hash, e.hash, audit_entry_hash(e) AS computed,
               coalesce(lag(e.seq) OVER w, 0) AS before_seq,
               coalesce(lag(e.hash) OVER w, sha256('fleet audit chain'::bytea)) AS before_hash
        FROM audit_entry e WINDOW w AS (ORDER BY e.seq)
    ), faults AS (
        SELECT c.seq, CASE WHEN c.hash <> c.computed THEN 'altered'
                           WHEN c.before_seq <> c.seq - 1 THEN 'missing'
                           WHEN c.prev_hash <> c.before_hash THEN 'altered' END AS fault
        FROM chain c
        UNION ALL
        SELECT h.seq, 'tail' FROM audit_head h
        WHERE h.seq <> coalesce((SELECT max(e.seq) FROM audit_entry e), 0)
           OR (h.seq > 0 AND h.hash <> (SELECT e.hash FROM audit_entry e ORDER BY e.seq DESC LIMIT 1))
    )
    SELECT f.seq, f.fault FROM faults f WHERE f.fault IS NOT NULL ORDER BY 1
$$;
