-- Inputs that wait keep who outside sent them, and repeats are told from other
-- events of the same name by their content.
ALTER TABLE parked ADD COLUMN source bytea NOT NULL DEFAULT '';
ALTER TABLE externals ADD COLUMN digest bytea NOT NULL DEFAULT '';
