-- Who is to hear of what, and the messages on their way.

CREATE TABLE alert (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    application_id BLOB,
    name TEXT NOT NULL,
    description TEXT,
    event TEXT NOT NULL,
    before TEXT,
    filters TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    active_since INTEGER NOT NULL,
    daily INTEGER NOT NULL,
    last_run_at INTEGER,
    last_run_error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_name ON alert (project_id, COALESCE(application_id, x''), name);

CREATE TABLE alert_channel (
    id BLOB PRIMARY KEY NOT NULL,
    alert_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    config TEXT NOT NULL,
    sealed_secret BLOB,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_channel_alert ON alert_channel (alert_id, position);

-- What an alert has told already. period: 0 once and for all, else the day since 1970. until: when it can be forgotten.
CREATE TABLE alert_notice (
    alert_id BLOB NOT NULL,
    object BLOB NOT NULL,
    period INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (alert_id, object, period)
) STRICT, WITHOUT ROWID;

-- Up to where each node's audit chain has been looked through for a project's alerts.
CREATE TABLE alert_cursor (
    project_id BLOB PRIMARY KEY NOT NULL,
    position TEXT NOT NULL
) STRICT;

-- The outbox.
CREATE TABLE notification (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL,
    alert_id BLOB NOT NULL,
    channel_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;
CREATE INDEX notification_alert ON notification (alert_id, created_at, id);
