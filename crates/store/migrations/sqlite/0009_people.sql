-- The second factor of people, sessions in browsers, and links that sign in once.

-- totp: the sealed secret. A code of a time step up to the last one is not taken again.
ALTER TABLE users ADD COLUMN totp BLOB;
ALTER TABLE users ADD COLUMN totp_last_step INTEGER;
ALTER TABLE users ADD COLUMN totp_is_confirmed INTEGER;

-- All four, or none: the session of a program.
ALTER TABLE access_token ADD COLUMN ip TEXT;
ALTER TABLE access_token ADD COLUMN user_agent TEXT;
ALTER TABLE access_token ADD COLUMN last_used_at INTEGER;
ALTER TABLE access_token ADD COLUMN confirmed_at INTEGER;

-- One for a person at most; it is deleted when it is used.
CREATE TABLE sign_in_link (
    id BLOB PRIMARY KEY NOT NULL,
    user_id BLOB NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
