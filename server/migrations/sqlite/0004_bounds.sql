-- What a camera, or a person, can make without bound is counted at each new row.
CREATE INDEX capture_empty ON captures (camera, id)
    WHERE revision = 0 AND (NOT ended OR agent_id IS NULL OR receipt = 'taken');
CREATE INDEX capture_awaited ON captures (camera)
    WHERE revision = 0 AND ended AND agent_id IS NOT NULL AND receipt <> 'taken';
CREATE INDEX alarm_camera ON alarms (camera);
CREATE INDEX capture_request_camera ON capture_requests (camera);

-- Uploads whose bytes are wanted no more, in DIR/uploads/ID or as a blob: they are here until those are gone.
CREATE TABLE unwanted_uploads (
    id TEXT PRIMARY KEY NOT NULL
) STRICT;
-- An upload that goes asks whether its blob is a segment.
CREATE INDEX segment_blob ON segments (blob);
