-- Who is to hear of what, and the messages on their way.

CREATE TABLE alert (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    application_id BYTEA,
    name TEXT NOT NULL,
    description TEXT,
    event TEXT NOT NULL,
    before TEXT,
    filters TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    active_since BIGINT NOT NULL,
    daily BIGINT NOT NULL,
    last_run_at BIGINT,
    last_run_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX alert_name ON alert (project_id, COALESCE(application_id, '\x'::bytea), name);

CREATE TABLE alert_channel (
    id BYTEA PRIMARY KEY NOT NULL,
    alert_id BYTEA NOT NULL,
    position BIGINT NOT NULL,
    config TEXT NOT NULL,
    sealed_secret BYTEA,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX alert_channel_alert ON alert_channel (alert_id, position);

-- What an alert has told already. period: 0 once and for all, else the day since 1970. until: when it can be forgotten.
CREATE TABLE alert_notice (
    alert_id BYTEA NOT NULL,
    object BYTEA NOT NULL,
    period BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (alert_id, object, period)
);

-- Up to where each node's audit chain has been looked through for a project's alerts.
CREATE TABLE alert_cursor (
    project_id BYTEA PRIMARY KEY NOT NULL,
    position TEXT NOT NULL
);

-- The outbox.
CREATE TABLE notification (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL,
    alert_id BYTEA NOT NULL,
    channel_id BYTEA NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX notification_alert ON notification (alert_id, created_at, id);
