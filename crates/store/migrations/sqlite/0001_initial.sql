-- Times are milliseconds since 1970 (UTC), ids are 16-byte UUIDs, documents are JSON text.

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, counting every change of configuration, so that nodes can poll one number.
CREATE TABLE config_version (
    one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO config_version (one, value) VALUES (1, 1);

CREATE TABLE node (
    name TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- The short number stands for the project in the big tables and their indexes.
CREATE TABLE project (
    id BLOB PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    role TEXT NOT NULL,
    failed_logins INTEGER NOT NULL,
    locked_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE identity (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    has_delete_protection INTEGER NOT NULL,
    metadata TEXT,
    client_id BLOB UNIQUE,
    universal_auth TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX identity_project ON identity (project_id, created_at, id);

CREATE TABLE client_secret (
    id BLOB PRIMARY KEY NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identity (id) ON DELETE CASCADE,
    project_id BLOB NOT NULL REFERENCES project (id),
    description TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL,
    uses_max INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX client_secret_identity ON client_secret (identity_id, created_at);

CREATE TABLE access_token (
    id BLOB PRIMARY KEY NOT NULL,
    actor_kind INTEGER NOT NULL,
    actor_id BLOB,
    project_id BLOB NOT NULL REFERENCES project (id),
    hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    expires_at_max INTEGER NOT NULL,
    ttl INTEGER NOT NULL,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_token_actor ON access_token (actor_id);

CREATE TABLE sealed_key (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL,
    algorithm TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE template (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    description TEXT,
    rules TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE ca (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    configuration TEXT NOT NULL,
    direct_issuance_template BLOB REFERENCES template (id),
    active_certificate BLOB,
    key_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

-- Kept when its CA is deleted: chains of issued certificates point here.
CREATE TABLE ca_certificate (
    id BLOB PRIMARY KEY NOT NULL,
    ca_id BLOB NOT NULL,
    project_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    serial_number TEXT NOT NULL,
    der BLOB NOT NULL,
    chain BLOB NOT NULL,
    parent_ca_id BLOB,
    path_length INTEGER,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT ca_certificate_version UNIQUE (ca_id, version)
) STRICT;
CREATE INDEX ca_certificate_parent ON ca_certificate (parent_ca_id);

CREATE TABLE profile (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    slug TEXT NOT NULL,
    description TEXT,
    ca_id BLOB REFERENCES ca (id),
    template_id BLOB NOT NULL REFERENCES template (id),
    enrollment TEXT,
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, slug)
) STRICT;
CREATE INDEX profile_template ON profile (template_id);
CREATE INDEX profile_ca ON profile (ca_id);

-- n grows with time (see number.rs). A deleted certificate keeps its row under the negated project number, so no list
-- finds it and its serial number stays taken. No references: a profile or CA may go while its certificates stay.
CREATE TABLE certificate (
    n INTEGER PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    project INTEGER NOT NULL,
    request_id BLOB NOT NULL,
    profile_id BLOB,
    template_id BLOB,
    template_version INTEGER NOT NULL,
    ca_id BLOB,
    ca_certificate_id BLOB,
    application_id BLOB,
    enrollment TEXT NOT NULL,
    requester_kind INTEGER NOT NULL,
    requester_id BLOB,
    serial BLOB NOT NULL,
    der BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    fingerprint_head INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    ttl INTEGER NOT NULL,
    common_name TEXT,
    alt_names TEXT NOT NULL,
    description TEXT NOT NULL,
    key_id BLOB,
    revoked_at INTEGER,
    revocation_reason INTEGER,
    renewed_from BLOB,
    renewed_by BLOB,
    renew_before_days INTEGER,
    due_at INTEGER,
    renewal_error TEXT,
    metadata TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX certificate_project ON certificate (project, n);
CREATE INDEX certificate_end ON certificate (project, not_after, n);
CREATE INDEX certificate_profile ON certificate (profile_id, n, not_after, revoked_at) WHERE project > 0;
CREATE INDEX certificate_ca ON certificate (ca_id, n) WHERE project > 0;
CREATE INDEX certificate_revoked ON certificate (project, n) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_fingerprint ON certificate (fingerprint_head);

-- Which serial numbers an issuer has used: certificates (with n) and CA certificates (without).
CREATE TABLE serial_number (
    serial BLOB NOT NULL,
    issuer BLOB NOT NULL,
    n INTEGER,
    PRIMARY KEY (serial, issuer)
) STRICT, WITHOUT ROWID;

-- Common names (kind 1), SANs (kind 2) and both (kind 3): lower case, labels reversed, so that a suffix is a range.
CREATE TABLE certificate_name (
    project INTEGER NOT NULL,
    name TEXT NOT NULL,
    n INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (project, name, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    n INTEGER PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    project INTEGER NOT NULL,
    profile_id BLOB,
    ca_id BLOB,
    application_id BLOB,
    requester_kind INTEGER NOT NULL,
    requester_id BLOB,
    status TEXT NOT NULL,
    certificate_id BLOB,
    common_name TEXT,
    alt_names TEXT,
    document TEXT NOT NULL,
    csr BLOB,
    error_message TEXT,
    pending_message TEXT,
    metadata TEXT,
    idempotency BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX request_project ON request (project, n);
CREATE UNIQUE INDEX request_idempotency ON request (idempotency) WHERE idempotency IS NOT NULL;

CREATE TABLE idempotency (
    key BLOB PRIMARY KEY NOT NULL,
    body_hash BLOB NOT NULL,
    status INTEGER,
    sealed_body BLOB,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_created ON idempotency (created_at);

-- kind 1: certificates of a project, 2: of a profile, 3: of a CA, 4: requests of a project. Each node adds to its own row.
CREATE TABLE counter (
    kind INTEGER NOT NULL,
    scope BLOB NOT NULL,
    node TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (kind, scope, node)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    node TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    project_id BLOB,
    event TEXT NOT NULL,
    actor_id BLOB,
    object_id BLOB,
    body TEXT NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (node, sequence)
) STRICT;
CREATE INDEX audit_project ON audit (project_id, time, node, sequence);
CREATE INDEX audit_object ON audit (object_id, time) WHERE object_id IS NOT NULL;
