-- Captures of plain tus clients that nobody has ended: the server does, once nothing of them comes any more.
CREATE INDEX capture_unended ON captures (id) WHERE agent_id IS NULL AND NOT ended AND NOT sending;

-- Every creation asks what else is open for its segment, and how much for its camera; finished uploads are many.
CREATE INDEX upload_segment ON uploads (camera, trigger_timestamp, seg_no);
CREATE INDEX upload_open ON uploads (camera) WHERE NOT finished;
