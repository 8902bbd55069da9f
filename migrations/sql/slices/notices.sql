-- Everybody reads their own; who tells somebody else of a matter may write the row but not read it back.
CALL fleet_keep('notice');
ALTER TABLE notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notice FOR SELECT TO fleet_app USING (user_id = fleet_actor_id() OR fleet_sees_all());
CREATE POLICY read ON notice FOR UPDATE TO fleet_app USING (user_id = fleet_actor_id() OR fleet_sees_all());
CREATE POLICY tell ON notice FOR INSERT TO fleet_app WITH CHECK (true);
