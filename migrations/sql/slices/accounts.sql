-- The tree, names and grants are the directory that everybody signed in reads. Who writes them: the tree and accounts the system
-- administrator, grants the security administrator, each in the own part of the tree and never for oneself.
CREATE FUNCTION fleet_holds(wanted text, org bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT EXISTS (SELECT FROM role_grant g JOIN organisation held ON held.id = g.org_id JOIN organisation o ON o.id = org
                   JOIN user_account u ON u.id = g.user_id
                   WHERE g.user_id = fleet_actor_id() AND g.role = wanted AND u.closed_at IS NULL AND starts_with(o.path, held.path))
$$;
CREATE FUNCTION fleet_looks_after(who bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT who IS DISTINCT FROM fleet_actor_id() AND EXISTS (SELECT FROM user_account u WHERE u.id = who
        AND (fleet_holds('system_admin', u.org_id) OR fleet_holds('security_admin', u.org_id)))
$$;

CREATE PROCEDURE fleet_directory(name text, write text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY directory ON %I FOR SELECT TO fleet_app USING (true)', name);
    EXECUTE format('CREATE POLICY added ON %I FOR INSERT TO fleet_app WITH CHECK (%s)', name, write);
    EXECUTE format('CREATE POLICY changed ON %I FOR UPDATE TO fleet_app USING (%s) WITH CHECK (%s)', name, write, write);
END $$;
CALL fleet_directory('place', 'fleet_sees_all()');
CALL fleet_directory('calendar_day', 'fleet_sees_all()');
CALL fleet_directory('organisation', 'fleet_sees_all() OR fleet_holds(''system_admin'', coalesce(parent_id, id))');
CALL fleet_directory('user_account', 'fleet_sees_all() OR fleet_holds(''system_admin'', org_id)');
CALL fleet_directory('role_grant', 'fleet_sees_all() OR user_id IS DISTINCT FROM fleet_actor_id() AND fleet_holds(''security_admin'', org_id)');
CREATE POLICY taken_back ON role_grant FOR DELETE TO fleet_app
    USING (fleet_sees_all() OR user_id IS DISTINCT FROM fleet_actor_id() AND fleet_holds('security_admin', org_id));
GRANT DELETE ON role_grant TO fleet_app;
REVOKE UPDATE ON role_grant FROM fleet_app;

-- Whoever may read a name may not read the hash beside it: sign-in asks for it by a function, as the system.
DO $$
BEGIN
    REVOKE SELECT ON user_account FROM fleet_app;
    EXECUTE (SELECT format('GRANT SELECT (%s) ON user_account TO fleet_app', string_agg(quote_ident(a.attname), ', '))
             FROM pg_attribute a WHERE a.attrelid = 'user_account'::regclass AND a.attnum > 0 AND NOT a.attisdropped
             AND a.attname <> 'password_hash');
END $$;
CREATE FUNCTION fleet_password_hash(who bigint) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT u.password_hash FROM user_account u WHERE u.id = who AND fleet_sees_all()
$$;

-- A grant to oneself is refused whatever the policies say; the exclusion constraint keeps the three administrators apart.
CREATE FUNCTION role_grant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.user_id = fleet_actor_id() THEN
        RAISE EXCEPTION 'nobody grants to himself' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_role_grant_own';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON role_grant FOR EACH ROW EXECUTE FUNCTION role_grant_guard();

DROP POLICY scope ON sign_in;
CALL fleet_scope('sign_in', 'user_id = fleet_actor_id() OR fleet_sees_all() OR fleet_looks_after(user_id)');
CALL fleet_scope('second_factor', 'user_id = fleet_actor_id() OR fleet_sees_all() OR fleet_looks_after(user_id)');
CALL fleet_scope('recovery_code', 'user_id = fleet_actor_id() OR fleet_sees_all() OR fleet_looks_after(user_id)');
CALL fleet_scope('external_identity', 'user_id = fleet_actor_id() OR fleet_sees_all() OR fleet_looks_after(user_id)');
CALL fleet_scope('password_reset', 'fleet_sees_all() OR fleet_looks_after(user_id)');
CALL fleet_scope('logout_token', 'fleet_sees_all()');
CALL fleet_scope('sign_in_failure', 'fleet_sees_all()');
REVOKE UPDATE ON sign_in_failure, logout_token FROM fleet_app;
GRANT DELETE ON second_factor, recovery_code, external_identity, sign_in_failure, password_reset, logout_token TO fleet_app;
