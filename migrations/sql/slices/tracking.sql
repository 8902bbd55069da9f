-- Which vehicle's positions go to a superior platform: none that is restricted or secret, and none that is retired. Asked for every
-- batch, so a vehicle made secret is left out at once, its waiting positions included. The plate's colour follows GA 36 and the
-- codes of JT/T 415: 5 green for new energy, 2 yellow from ten seats, else 1 blue.
CREATE FUNCTION gps_upstream_vehicles() RETURNS TABLE (terminal_id bigint, during tstzrange, plate text, colour integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT b.terminal_id, b.during, v.plate,
        CASE WHEN v.energy IN ('bev', 'phev', 'fcev') THEN 5 WHEN v.seats >= 10 THEN 2 ELSE 1 END
    FROM terminal_binding b JOIN vehicle v ON v.id = b.vehicle_id
    WHERE v.secrecy = 'normal' AND v.state <> 'RETIRED'
$$;
REVOKE EXECUTE ON FUNCTION gps_upstream_vehicles() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gps_upstream_vehicles() TO fleet_gateway;

-- The SIM card goes with the device: it is the business of whoever holds the vehicle that carries it now.
CALL fleet_keep('terminal_sim');
CALL fleet_scope('terminal_sim', 'terminal_id IN (SELECT b.terminal_id FROM terminal_binding b WHERE upper_inf(b.during))');

-- Senders that are ignored: said by a unit for itself and whoever stands above; taken back once, never changed.
CALL fleet_keep('ignored_sender');
CALL fleet_scope('ignored_sender', 'org_id IN (SELECT fleet_visible_orgs())');
CREATE FUNCTION ignored_sender_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at' THEN
        RAISE EXCEPTION 'sender % is ignored on record: that can only be ended, once', OLD.phone USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON ignored_sender FOR EACH ROW EXECUTE FUNCTION ignored_sender_frozen();
