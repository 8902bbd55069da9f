-- Two working roles that own nothing. The login role that migrates is made a member so that it can act as them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_app') THEN
        CREATE ROLE fleet_app NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_gateway') THEN
        CREATE ROLE fleet_gateway NOLOGIN NOINHERIT;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of the cluster was faster
END $$;
GRANT fleet_app, fleet_gateway TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO fleet_app, fleet_gateway;
