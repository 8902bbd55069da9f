-- Files are added, never changed; the bytes are seen by whoever sees a row that has them.
CALL fleet_append_only('attachment', 'attachment_content');
REVOKE UPDATE ON attachment, attachment_content FROM fleet_app;
CALL fleet_scope('attachment', 'org_id IN (SELECT fleet_visible_orgs()) OR created_by = fleet_actor_id()');
ALTER TABLE attachment_content ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON attachment_content FOR SELECT TO fleet_app
    USING (EXISTS (SELECT 1 FROM attachment a WHERE a.sha256 = attachment_content.sha256));
CREATE POLICY append ON attachment_content FOR INSERT TO fleet_app WITH CHECK (true);
-- The papers of a travel order are seen by whoever sees the order.
CREATE POLICY of_order ON attachment AS RESTRICTIVE TO fleet_app
    USING (subject_type <> 'travel_order' OR EXISTS (SELECT 1 FROM travel_order o WHERE o.id = subject_id));
