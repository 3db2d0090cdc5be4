-- FerretDB asks for a document with _jsonb->'_id' @> '"…"', which its own index,
-- a btree, does not serve: it looks through the whole collection for every id, and
-- for every update. This gives each collection an index that does.
CREATE OR REPLACE FUNCTION index_ids() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = made.objid AND attname = '_jsonb') THEN
      EXECUTE format('CREATE INDEX ON %s USING gin ((_jsonb->''_id'') jsonb_path_ops) WITH (fastupdate = off)', made.object_identity);
    END IF;
  END LOOP;
END $$;
DROP EVENT TRIGGER IF EXISTS index_ids;
CREATE EVENT TRIGGER index_ids ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION index_ids();
