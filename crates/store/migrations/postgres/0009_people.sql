-- The second factor of people, sessions in browsers, and links that sign in once.

-- totp: the sealed secret. A code of a time step up to the last one is not taken again.
ALTER TABLE users ADD COLUMN totp BYTEA;
ALTER TABLE users ADD COLUMN totp_last_step BIGINT;
ALTER TABLE users ADD COLUMN totp_is_confirmed BIGINT;

-- All four, or none: the session of a program.
ALTER TABLE access_token ADD COLUMN ip TEXT;
ALTER TABLE access_token ADD COLUMN user_agent TEXT;
ALTER TABLE access_token ADD COLUMN last_used_at BIGINT;
ALTER TABLE access_token ADD COLUMN confirmed_at BIGINT;

-- One for a person at most; it is deleted when it is used.
CREATE TABLE sign_in_link (
    id BYTEA PRIMARY KEY NOT NULL,
    user_id BYTEA NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
