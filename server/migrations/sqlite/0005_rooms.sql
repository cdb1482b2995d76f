-- Rooms for cameras in browsers, as people made them. What is published is Janus' and memory's.
CREATE TABLE rooms (
    -- In Janus; no number is used again.
    number  INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name    TEXT NOT NULL,
    -- What administers it in Janus, and what entering it there takes.
    secret  TEXT NOT NULL,
    pin     TEXT NOT NULL,
    -- What a sender may send unless it is told otherwise, in bit/s; 0 is no limit.
    bitrate INTEGER NOT NULL
) STRICT;
-- The first is 1000, as the original's.
INSERT INTO sqlite_sequence VALUES ('rooms', 999);
CREATE TABLE slots (
    room          INTEGER NOT NULL REFERENCES rooms (number) ON DELETE CASCADE,
    slot          INTEGER NOT NULL,
    -- Without one nobody may send.
    token         TEXT,
    -- HTML as it reaches receivers.
    annotation    TEXT,
    -- 'canvas' or 'window', then corner, x, y, width, height and perhaps z.
    geometry      TEXT NOT NULL,
    visible       INTEGER NOT NULL,
    bitrate_limit INTEGER NOT NULL,
    PRIMARY KEY (room, slot)
) STRICT, WITHOUT ROWID;
