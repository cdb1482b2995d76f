-- Times are unix seconds at the server's clock, unless the column says otherwise; digests are lower-case hex.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;

-- A camera is who its certificate says. A removed camera keeps its row, because its captures stay.
CREATE TABLE cameras (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    fingerprint  TEXT    NOT NULL UNIQUE,   -- SHA-256 of the certificate
    added_at     INTEGER NOT NULL,
    removed_at   INTEGER,
    session      TEXT,                      -- the live session, null while offline
    since        INTEGER,                   -- when it went online or offline
    armed        INTEGER,                   -- what the camera last echoed
    wanted_armed INTEGER,                   -- what people last asked for
    version      TEXT,                      -- null for an original client
    report       TEXT,                      -- the agent's last report, JSON
    last_alarm   INTEGER
) STRICT;
CREATE UNIQUE INDEX camera_name ON cameras (name) WHERE removed_at IS NULL;

-- A capture of an agent is known by its id; one of an original client by trigger and timestamp, which a
-- board without a clock chip uses again: `occurrence` counts those.
CREATE TABLE captures (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    camera            INTEGER NOT NULL REFERENCES cameras (id),
    agent_id          TEXT,                 -- 16 hex digits
    trigger           TEXT    NOT NULL,     -- 'pir' | 'request'
    trigger_timestamp INTEGER NOT NULL,     -- the camera's clock
    occurrence        INTEGER NOT NULL,
    received_at       INTEGER NOT NULL,
    ended             INTEGER NOT NULL DEFAULT 0,
    sending           INTEGER NOT NULL DEFAULT 0,       -- an original client's session is sending it
    receipt           TEXT    NOT NULL DEFAULT 'none',  -- 'none' | 'owed' | 'taken'
    joining           TEXT    NOT NULL DEFAULT 'none',  -- 'none' | 'due' | 'done' | 'failed'
    revision          INTEGER NOT NULL DEFAULT 0,       -- counts changes of what is to be joined
    join_error        TEXT,
    joined_blob       TEXT,
    joined_bytes      INTEGER,
    joined_ms         INTEGER
) STRICT;
CREATE UNIQUE INDEX capture_agent_id ON captures (camera, agent_id) WHERE agent_id IS NOT NULL;
CREATE UNIQUE INDEX capture_original ON captures (camera, trigger, trigger_timestamp, occurrence) WHERE agent_id IS NULL;
CREATE INDEX capture_joining ON captures (id) WHERE joining = 'due';
CREATE INDEX capture_receipt ON captures (camera) WHERE receipt = 'owed';

-- Whole segments in the store, each digest computed here.
CREATE TABLE segments (
    capture   INTEGER NOT NULL REFERENCES captures (id),
    seg_no    INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    sha256    TEXT    NOT NULL,
    container TEXT    NOT NULL,             -- 'mp4' | 'ts'
    blob      TEXT    NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (capture, seg_no)
) STRICT;

-- What the latest capture_end said the capture is made of.
CREATE TABLE listed (
    capture INTEGER NOT NULL REFERENCES captures (id),
    seg_no  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    sha256  TEXT    NOT NULL,
    PRIMARY KEY (capture, seg_no)
) STRICT;

-- Segments that will never come, and why.
CREATE TABLE lost (
    capture INTEGER NOT NULL REFERENCES captures (id),
    seg_no  INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    PRIMARY KEY (capture, seg_no)
) STRICT;

-- Uploads: their bytes are in DIR/uploads/ID until they are whole and right. A finished one is kept until it
-- expires, so that a client that missed the answer learns its offset.
CREATE TABLE uploads (
    id                TEXT PRIMARY KEY NOT NULL,
    camera            INTEGER NOT NULL REFERENCES cameras (id),
    agent_id          TEXT,
    trigger           TEXT    NOT NULL,
    trigger_timestamp INTEGER NOT NULL,
    seg_no            INTEGER NOT NULL,
    length            INTEGER NOT NULL,
    sha256            TEXT,                 -- as declared
    metadata          TEXT    NOT NULL,     -- Upload-Metadata as it came
    expires_at        INTEGER NOT NULL,
    finished          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX upload_expiry ON uploads (expires_at);
CREATE INDEX upload_camera ON uploads (camera);

CREATE TABLE alarms (
    camera      INTEGER NOT NULL REFERENCES cameras (id),
    id          TEXT    NOT NULL,
    alarm_at    INTEGER NOT NULL,           -- the camera's clock
    gpio        INTEGER,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (camera, id)
) STRICT;

-- Requests for a fresh capture: an edge, acted on once, worthless after a minute.
CREATE TABLE capture_requests (
    id       TEXT PRIMARY KEY NOT NULL,
    camera   INTEGER NOT NULL REFERENCES cameras (id),
    asked_at INTEGER NOT NULL,
    state    TEXT    NOT NULL DEFAULT 'waiting'  -- 'waiting' | 'delivered' | 'lapsed'
) STRICT;
CREATE INDEX capture_request_waiting ON capture_requests (camera) WHERE state = 'waiting';
