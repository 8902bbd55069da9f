-- Energy: entries are made void once and never changed; a card serves one vehicle; no petrol in an electric car.
CALL fleet_keep('energy_card', 'energy_entry', 'energy_import');
CALL fleet_scope('energy_card', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('energy_entry', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('energy_import', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION energy_fits(vehicle_id bigint, kind text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE kind WHEN 'fuel' THEN v.energy IN ('petrol', 'diesel', 'hev', 'phev') ELSE v.energy IN ('bev', 'phev') END
    FROM vehicle v WHERE v.id = vehicle_id
$$;

CREATE FUNCTION energy_card_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF energy_fits(NEW.vehicle_id, NEW.kind) IS NOT TRUE THEN
        RAISE EXCEPTION 'vehicle % takes no %', NEW.vehicle_id, NEW.kind USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_energy_card_kind_fits';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON energy_card FOR EACH ROW EXECUTE FUNCTION energy_card_guard();

CREATE FUNCTION energy_entry_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE card energy_card%ROWTYPE; on_day date;
BEGIN
    IF energy_fits(NEW.vehicle_id, NEW.kind) IS NOT TRUE THEN
        RAISE EXCEPTION 'vehicle % takes no %', NEW.vehicle_id, NEW.kind USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_energy_entry_kind_fits';
    END IF;
    IF NEW.card_id IS NOT NULL THEN
        SELECT * INTO card FROM energy_card c WHERE c.id = NEW.card_id;
        on_day := (NEW.at AT TIME ZONE 'Asia/Shanghai')::date;
        IF card.vehicle_id <> NEW.vehicle_id OR card.kind <> NEW.kind OR on_day < card.valid_from OR on_day >= card.valid_to THEN
            RAISE EXCEPTION 'card % is not bound to this vehicle, kind and day', card.number
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_energy_entry_card';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON energy_entry FOR EACH ROW EXECUTE FUNCTION energy_entry_guard();

CREATE FUNCTION energy_entry_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.void_at IS NOT NULL OR to_jsonb(NEW) - '{void_at,void_by,void_reason}'::text[] IS DISTINCT FROM
        to_jsonb(OLD) - '{void_at,void_by,void_reason}'::text[] THEN
        RAISE EXCEPTION 'entry % is on record: it can only be made void, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON energy_entry FOR EACH ROW EXECUTE FUNCTION energy_entry_frozen();

-- A card changes its state and its end, nothing else; cancelled it stays.
CREATE FUNCTION energy_card_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'CANCELLED' OR to_jsonb(NEW) - '{state,valid_to,version}'::text[] IS DISTINCT FROM
        to_jsonb(OLD) - '{state,valid_to,version}'::text[] THEN
        RAISE EXCEPTION 'card %: only state and end may change, and no more once cancelled', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON energy_card FOR EACH ROW EXECUTE FUNCTION energy_card_frozen();

CREATE FUNCTION energy_import_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'COMMITTED' OR (OLD.attachment_id IS NOT NULL AND NEW.attachment_id IS DISTINCT FROM OLD.attachment_id)
       OR (NEW.org_id, NEW.file_name, NEW.created_by) IS DISTINCT FROM (OLD.org_id, OLD.file_name, OLD.created_by) THEN
        RAISE EXCEPTION 'import % is committed or its file would change', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON energy_import FOR EACH ROW EXECUTE FUNCTION energy_import_frozen();
