-- The chain: each entry hashes its predecessor's hash and its own content. audit_head holds the newest link; its
-- row lock puts writers in order, and it shows when the tail has been cut off.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, sha256('fleet audit chain'::bytea));

-- What is hashed of an entry, as text: evidence packages carry it, so that a hash can be recomputed without this database.
CREATE FUNCTION audit_entry_text(e audit_entry) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(
        e.seq, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.actor_id, e.actor_name,
        e.action, e.subject_type, e.subject_id, e.org_id, e.data)::text
$$;
CREATE FUNCTION audit_entry_hash(e audit_entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(e.prev_hash || convert_to(audit_entry_text(e), 'UTF8'))
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

-- Every broken place among the entries first .. last (both included; no last: to the end) with its kind:
-- 'altered' content or hash, 'missing' entries before it, 'replaced' by another with a fitting hash, 'inserted' between two that
-- were neighbours, 'head' another one than a published head says, 'beyond' the end, 'tail' cut off.
CREATE FUNCTION audit_verify(first bigint DEFAULT 1, last bigint DEFAULT NULL) RETURNS TABLE (seq bigint, fault text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    WITH chain AS (
        SELECT e.seq, e.prev_hash, e.hash, e.hash = audit_entry_hash(e) AS fits,
               coalesce(lag(e.seq) OVER w, 0) AS before_seq,
               coalesce(lag(e.hash) OVER w, sha256('fleet audit chain'::bytea)) AS before_hash,
               lead(e.prev_hash) OVER w AS after_prev
        FROM audit_entry e
        WHERE e.seq >= coalesce((SELECT max(b.seq) FROM audit_entry b WHERE b.seq < first), 0)
          AND e.seq <= coalesce((SELECT min(a.seq) FROM audit_entry a WHERE a.seq > last), 9223372036854775807)
        WINDOW w AS (ORDER BY e.seq)
    ), faults AS (
        SELECT CASE WHEN c.fits AND c.before_seq = c.seq - 1 AND c.prev_hash <> c.before_hash AND c.seq > 1 THEN c.before_seq
                    ELSE c.seq END AS seq,
               CASE WHEN c.after_prev = c.before_hash THEN 'inserted'
                    WHEN NOT c.fits THEN 'altered'
                    WHEN c.before_seq <> c.seq - 1 THEN 'missing'
                    WHEN c.prev_hash <> c.before_hash THEN 'replaced' END AS fault
        FROM chain c WHERE c.seq >= first AND (last IS NULL OR c.seq <= last)
        UNION ALL
        SELECT h.seq, 'tail' FROM audit_head h
        WHERE (last IS NULL OR last >= h.seq) AND h.seq > coalesce((SELECT max(e.seq) FROM audit_entry e), 0)
        UNION ALL
        SELECT e.seq, 'beyond' FROM audit_head h JOIN audit_entry e ON e.seq > h.seq
        WHERE e.seq >= first AND (last IS NULL OR e.seq <= last)
        UNION ALL
        SELECT h.seq, 'replaced' FROM audit_head h JOIN audit_entry e ON e.seq = h.seq AND e.hash <> h.hash
        WHERE h.seq >= first AND (last IS NULL OR h.seq <= last)
        UNION ALL
        SELECT p.seq, 'head' FROM audit_published_head p LEFT JOIN audit_entry e ON e.seq = p.seq
        WHERE p.seq > 0 AND p.seq >= first AND (last IS NULL OR p.seq <= last) AND encode(e.hash, 'hex') IS DISTINCT FROM p.hash
    )
    SELECT DISTINCT f.seq, f.fault FROM faults f WHERE f.fault IS NOT NULL ORDER BY 1, 2
$$;

-- The number under which a misplaced entry was written: the one its own hash fits, looked for near its place.
CREATE FUNCTION audit_written_as(place bigint, reach integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
DECLARE e audit_entry; wanted bytea; step integer;
BEGIN
    SELECT * INTO e FROM audit_entry a WHERE a.seq = place;
    wanted := e.hash;
    FOR step IN 1 .. reach LOOP
        e.seq := place - step;
        IF audit_entry_hash(e) = wanted THEN RETURN e.seq; END IF;
        e.seq := place + step;
        IF audit_entry_hash(e) = wanted THEN RETURN e.seq; END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Numbers and hashes name nobody and nothing: whoever may verify sees those of the whole chain, not of the own part of the tree.
CREATE FUNCTION audit_last_seq() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce(max(e.seq), 0) FROM audit_entry e
$$;
CREATE FUNCTION audit_hash_at(place bigint) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT encode(e.hash, 'hex') FROM audit_entry e WHERE e.seq = place
$$;
CREATE FUNCTION audit_range(since timestamptz, until timestamptz, OUT first bigint, OUT last bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT min(e.seq), max(e.seq) FROM audit_entry e WHERE (since IS NULL OR e.at >= since) AND (until IS NULL OR e.at < until)
$$;
