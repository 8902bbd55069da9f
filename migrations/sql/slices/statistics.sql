-- Statistics: what tables count, as facts. Every function returns rows that each belong to one unit (org_id) and can be opened (ref),
-- with dimensions as text and measures as numbers; a cell is the sum of a measure, its drill-down the rows that are not zero.
-- They read with the owner's rights, because a vehicle that was given away is still part of the giver's past, and show the rows of
-- the units in fleet.scope only. Days are the office's, [first, until).
CREATE FUNCTION stat_day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$ SELECT (at AT TIME ZONE 'Asia/Shanghai')::date $$;
CREATE FUNCTION stat_moment(day date) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT day::timestamp AT TIME ZONE 'Asia/Shanghai' $$;
-- Vehicles that are kept confidential are counted, not named.
CREATE FUNCTION stat_plate(plate text, secrecy text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN secrecy = 'normal' THEN plate ELSE '***' END $$;
CREATE FUNCTION stat_ref(vehicle_id bigint, secrecy text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN secrecy = 'normal' THEN 'vehicle:' || vehicle_id ELSE 'hidden' END $$;

-- Which unit held which vehicle over [came_on, left_on), by which paper it came and went. Rented ones belong to nobody's stock.
CREATE FUNCTION stat_holding()
RETURNS TABLE (org_id bigint, vehicle_id bigint, came_on date, came_by text, came_paper text, last boolean, left_on date, left_by text, left_paper text)
LANGUAGE sql STABLE AS $$
WITH handed AS (
    SELECT c.vehicle_id, c.org_id AS giver_id, c.receiver_org_id AS taker_id, c.number, max(e.at) AS at
    FROM disposal_case c JOIN disposal_event e ON e.case_id = c.id AND e.to_state = 'ARCHIVED'
    WHERE c.mode = 'transfer' AND c.state = 'ARCHIVED' GROUP BY c.id
), steps AS (
    SELECT v.id AS vehicle_id, coalesce((SELECT h.giver_id FROM handed h WHERE h.vehicle_id = v.id ORDER BY h.at LIMIT 1), v.org_id) AS org_id,
           coalesce(v.acquired_on, v.registered_on) AS came_on, i.number AS came_paper, 0::bigint AS turn,
           CASE WHEN i.kind = 'renewal' THEN 'renewal' WHEN v.acquired_by = 'purchase' THEN 'purchase'
                WHEN v.acquired_by = 'transfer' THEN 'transfer' ELSE 'received' END AS came_by
    FROM vehicle v LEFT JOIN indicator i ON i.vehicle_id = v.id AND i.kind <> 'transfer'
    WHERE v.management_mode <> 'rented'
    UNION ALL
    SELECT h.vehicle_id, h.taker_id, stat_day(h.at), h.number, row_number() OVER (PARTITION BY h.vehicle_id ORDER BY h.at), 'transfer'
    FROM handed h JOIN vehicle v ON v.id = h.vehicle_id AND v.management_mode <> 'rented'
), spans AS (
    SELECT s.*, lead(s.came_on) OVER next AS next_on, lead(s.came_paper) OVER next AS next_paper,
           s.turn = max(s.turn) OVER (PARTITION BY s.vehicle_id) AS last
    FROM steps s WINDOW next AS (PARTITION BY s.vehicle_id ORDER BY s.turn)
), gone AS (
    SELECT v.id AS vehicle_id, coalesce(c.mode, 'deregister') AS left_by, c.number AS left_paper,
           coalesce(c.deregistered_on, (SELECT stat_day(max(a.at)) FROM audit_entry a WHERE a.subject_type = 'vehicle'
               AND a.subject_id = v.id::text AND a.action = 'vehicles.state_changed' AND a.data ->> 'after' = 'RETIRED')) AS left_on
    FROM vehicle v LEFT JOIN disposal_case c ON c.vehicle_id = v.id AND c.mode <> 'transfer' AND c.state IN ('DEREGISTERED', 'ARCHIVED')
    WHERE v.state = 'RETIRED'
)
SELECT s.org_id, s.vehicle_id, s.came_on, s.came_by, s.came_paper, s.last,
       CASE WHEN s.last THEN g.left_on ELSE s.next_on END AS left_on,
       CASE WHEN s.last THEN g.left_by ELSE 'transfer' END AS left_by,
       CASE WHEN s.last THEN g.left_paper ELSE s.next_paper END AS left_paper
FROM spans s LEFT JOIN gone g ON g.vehicle_id = s.vehicle_id
$$;

-- Statistics reports: frozen versions, typed cells, notes and steps are appended; a submitted report stands still.
CALL fleet_append_only('statistic_version', 'statistic_entry', 'statistic_note', 'statistic_event');
REVOKE UPDATE ON statistic_version, statistic_entry, statistic_note, statistic_event FROM fleet_app;
CALL fleet_keep('statistic_report');
CALL fleet_scope('statistic_report', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('statistic_entry', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('statistic_version', 'EXISTS (SELECT 1 FROM statistic_report r WHERE r.id = report_id)');
CALL fleet_scope('statistic_note', 'EXISTS (SELECT 1 FROM statistic_report r WHERE r.id = report_id)');
CALL fleet_scope('statistic_event', 'EXISTS (SELECT 1 FROM statistic_report r WHERE r.id = report_id)');

CREATE FUNCTION statistic_report_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF (NEW.org_id, NEW.period, NEW.first_on, NEW.until_on, NEW.number) IS DISTINCT FROM (OLD.org_id, OLD.period, OLD.first_on, OLD.until_on, OLD.number) THEN
        RAISE EXCEPTION 'whose report it is and of which period does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (('DRAFT', 'CHECKED'), ('CHECKED', 'DRAFT'), ('CHECKED', 'SUBMITTED')) THEN
        RAISE EXCEPTION 'report % does not go from % to %', OLD.number, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statistic_report_step';
    END IF;
    IF NEW.state = 'SUBMITTED' AND NEW.edition IS DISTINCT FROM (SELECT max(v.edition) FROM statistic_version v WHERE v.report_id = NEW.id) THEN
        RAISE EXCEPTION 'the edition of % is not its newest version', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statistic_report_step';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON statistic_report FOR EACH ROW EXECUTE FUNCTION statistic_report_guard();

-- The first version comes with the submission, each later one is the next number and says why.
CREATE FUNCTION statistic_version_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE before integer := coalesce((SELECT max(v.edition) FROM statistic_version v WHERE v.report_id = NEW.report_id), 0);
        state_now text := (SELECT r.state FROM statistic_report r WHERE r.id = NEW.report_id FOR UPDATE);
BEGIN
    IF NEW.edition <> before + 1 OR state_now <> (CASE WHEN before = 0 THEN 'CHECKED' ELSE 'SUBMITTED' END) THEN
        RAISE EXCEPTION 'version % of report % does not follow version % in state %', NEW.edition, NEW.report_id, before, state_now
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statistic_version_follows';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER follows BEFORE INSERT ON statistic_version FOR EACH ROW EXECUTE FUNCTION statistic_version_guard();

-- What is typed belongs to the unit's report and is closed with it.
CREATE FUNCTION statistic_entry_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT FROM statistic_report r WHERE r.org_id = NEW.org_id AND r.period = NEW.period AND r.state = 'SUBMITTED') AND NEW.correction IS NOT TRUE THEN
        RAISE EXCEPTION 'the report is submitted: its cells change by a correction' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_statistic_entry_open';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER open BEFORE INSERT ON statistic_entry FOR EACH ROW EXECUTE FUNCTION statistic_entry_open();

-- Typed cells of a period: the newest of each, as a fact of its unit.
CREATE FUNCTION stat_typed(first date, until date, code text)
RETURNS TABLE (org_id bigint, ref text, label text, "on" date, note text, form text, "row" text, "column" text, value numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT DISTINCT ON (e.org_id, e.form, e.row_key, e.column_key) e.org_id, 'typed:' || e.id, u.name_zh, stat_day(e.at), e.value, e.form, e.row_key, e.column_key,
           CASE WHEN e.value ~ '^-?[0-9]{1,15}(\.[0-9]{1,6})?$' THEN e.value::numeric ELSE 0 END
    FROM statistic_entry e JOIN user_account u ON u.id = e.entered_by
    WHERE e.period = code AND e.org_id IN (SELECT fleet_visible_orgs())
    ORDER BY e.org_id, e.form, e.row_key, e.column_key, e.id DESC
$$;
