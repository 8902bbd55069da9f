-- Price books: published versions are a directory that everybody reads; what is published or discarded is frozen.
GRANT DELETE ON price_rate TO fleet_app;
CALL fleet_keep('price_book');
CALL fleet_scope('price_book', '(state = ''PUBLISHED'' AND coalesce(current_setting(''fleet.scope'', true), '''') <> '''') OR org_id IN (SELECT fleet_visible_orgs())');
ALTER POLICY scope ON price_book WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('price_rate', 'EXISTS (SELECT 1 FROM price_book b WHERE b.id = book_id)');

CREATE FUNCTION price_book_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'version % of % is %: it is frozen, publish another version', OLD.version_no, OLD.title, lower(OLD.state)
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON price_book FOR EACH ROW WHEN (OLD.state <> 'DRAFT') EXECUTE FUNCTION price_book_frozen();

CREATE FUNCTION price_rate_frozen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE touched bigint[] := CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.book_id] WHEN 'DELETE' THEN ARRAY[OLD.book_id] ELSE ARRAY[OLD.book_id, NEW.book_id] END;
BEGIN
    IF EXISTS (SELECT 1 FROM price_book b WHERE b.id = ANY (touched) AND b.state <> 'DRAFT') THEN
        RAISE EXCEPTION 'prices of a published book are frozen' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER frozen BEFORE INSERT OR UPDATE OR DELETE ON price_rate FOR EACH ROW EXECUTE FUNCTION price_rate_frozen();

-- A book is written as a draft and published later; only the system's own default may reach back.
CREATE FUNCTION price_book_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'PUBLISHED' AND NEW.published_by IS NULL AND EXISTS (
        SELECT 1 FROM price_book b WHERE b.org_id = NEW.org_id AND b.id <> NEW.id AND b.state = 'PUBLISHED') THEN
        RAISE EXCEPTION 'a later version is published by a person' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_price_book_too_late';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER first BEFORE INSERT OR UPDATE ON price_book FOR EACH ROW EXECUTE FUNCTION price_book_first();
