-- Who is signed in on the people's side. What the browser holds is not here: only its SHA-256.
CREATE TABLE sign_ins (
    token      TEXT PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_expiry ON sign_ins (expires_at);
