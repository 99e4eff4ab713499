-- Times are milliseconds since 1970 (UTC), ids are 16-byte UUIDs, documents are JSON text.

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value BYTEA NOT NULL
);

-- One row, counting every change of configuration, so that nodes can poll one number.
CREATE TABLE config_version (
    one BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    value BIGINT NOT NULL
);
INSERT INTO config_version (one, value) VALUES (1, 1);

CREATE TABLE node (
    name TEXT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL UNIQUE
);

-- The short number stands for the project in the big tables and their indexes.
CREATE TABLE project (
    id BYTEA PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE users (
    id BYTEA PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    role TEXT NOT NULL,
    failed_logins BIGINT NOT NULL,
    locked_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE identity (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    has_delete_protection BIGINT NOT NULL,
    metadata TEXT,
    client_id BYTEA UNIQUE,
    universal_auth TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX identity_project ON identity (project_id, created_at, id);

CREATE TABLE client_secret (
    id BYTEA PRIMARY KEY NOT NULL,
    identity_id BYTEA NOT NULL REFERENCES identity (id) ON DELETE CASCADE,
    project_id BYTEA NOT NULL REFERENCES project (id),
    description TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BYTEA NOT NULL,
    uses_max BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX client_secret_identity ON client_secret (identity_id, created_at);

CREATE TABLE access_token (
    id BYTEA PRIMARY KEY NOT NULL,
    actor_kind BIGINT NOT NULL,
    actor_id BYTEA,
    project_id BYTEA NOT NULL REFERENCES project (id),
    hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    expires_at_max BIGINT NOT NULL,
    ttl BIGINT NOT NULL,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX access_token_actor ON access_token (actor_id);

CREATE TABLE sealed_key (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL,
    algorithm TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE template (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    description TEXT,
    rules TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE ca (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    configuration TEXT NOT NULL,
    direct_issuance_template BYTEA REFERENCES template (id),
    active_certificate BYTEA,
    key_id BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- Kept when its CA is deleted: chains of issued certificates point here.
CREATE TABLE ca_certificate (
    id BYTEA PRIMARY KEY NOT NULL,
    ca_id BYTEA NOT NULL,
    project_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    serial_number TEXT NOT NULL,
    der BYTEA NOT NULL,
    chain BYTEA NOT NULL,
    parent_ca_id BYTEA,
    path_length BIGINT,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT ca_certificate_version UNIQUE (ca_id, version)
);
CREATE INDEX ca_certificate_parent ON ca_certificate (parent_ca_id);

CREATE TABLE profile (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    slug TEXT NOT NULL,
    description TEXT,
    ca_id BYTEA REFERENCES ca (id),
    template_id BYTEA NOT NULL REFERENCES template (id),
    enrollment TEXT,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, slug)
);
CREATE INDEX profile_template ON profile (template_id);
CREATE INDEX profile_ca ON profile (ca_id);

-- n grows with time (see number.rs). It is never looked up without the project, and an index on it alone would tempt the
-- planner to walk all projects for the sake of the order. A deleted certificate keeps its row under the negated project number, so no list
-- finds it and its serial number stays taken. No references: a profile or CA may go while its certificates stay.
CREATE TABLE certificate (
    n BIGINT NOT NULL,
    id BYTEA NOT NULL UNIQUE,
    project BIGINT NOT NULL,
    request_id BYTEA NOT NULL,
    profile_id BYTEA,
    template_id BYTEA,
    template_version BIGINT NOT NULL,
    ca_id BYTEA,
    ca_certificate_id BYTEA,
    application_id BYTEA,
    enrollment TEXT NOT NULL,
    requester_kind BIGINT NOT NULL,
    requester_id BYTEA,
    serial BYTEA NOT NULL,
    der BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    fingerprint_head BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    ttl BIGINT NOT NULL,
    common_name TEXT,
    alt_names TEXT NOT NULL,
    description TEXT NOT NULL,
    key_id BYTEA,
    revoked_at BIGINT,
    revocation_reason BIGINT,
    renewed_from BYTEA,
    renewed_by BYTEA,
    renew_before_days BIGINT,
    due_at BIGINT,
    renewal_error TEXT,
    metadata TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project, n)
);
CREATE INDEX certificate_end ON certificate (project, not_after, n);
CREATE INDEX certificate_profile ON certificate (profile_id, n, not_after, revoked_at) WHERE project > 0;
CREATE INDEX certificate_ca ON certificate (ca_id, n) WHERE project > 0;
CREATE INDEX certificate_revoked ON certificate (project, n) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_fingerprint ON certificate (fingerprint_head);

-- Which serial numbers an issuer has used: certificates (with n) and CA certificates (without).
CREATE TABLE serial_number (
    serial BYTEA NOT NULL,
    issuer BYTEA NOT NULL,
    n BIGINT,
    PRIMARY KEY (serial, issuer)
);

-- Common names (kind 1), SANs (kind 2) and both (kind 3): lower case, labels reversed, so that a suffix is a range.
CREATE TABLE certificate_name (
    project BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    PRIMARY KEY (project, name, n)
);

CREATE TABLE request (
    n BIGINT NOT NULL,
    id BYTEA NOT NULL UNIQUE,
    project BIGINT NOT NULL,
    profile_id BYTEA,
    ca_id BYTEA,
    application_id BYTEA,
    requester_kind BIGINT NOT NULL,
    requester_id BYTEA,
    status TEXT NOT NULL,
    certificate_id BYTEA,
    common_name TEXT,
    alt_names TEXT,
    document TEXT NOT NULL,
    csr BYTEA,
    error_message TEXT,
    pending_message TEXT,
    metadata TEXT,
    idempotency BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project, n)
);
CREATE UNIQUE INDEX request_idempotency ON request (idempotency) WHERE idempotency IS NOT NULL;

CREATE TABLE idempotency (
    key BYTEA PRIMARY KEY NOT NULL,
    body_hash BYTEA NOT NULL,
    status BIGINT,
    sealed_body BYTEA,
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- kind 1: certificates of a project, 2: of a profile, 3: of a CA, 4: requests of a project. Each node adds to its own row.
CREATE TABLE counter (
    kind BIGINT NOT NULL,
    scope BYTEA NOT NULL,
    node TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (kind, scope, node)
);

CREATE TABLE audit (
    node TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    time BIGINT NOT NULL,
    project_id BYTEA,
    event TEXT NOT NULL,
    actor_id BYTEA,
    object_id BYTEA,
    body TEXT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (node, sequence)
);
CREATE INDEX audit_project ON audit (project_id, time, node, sequence);
CREATE INDEX audit_object ON audit (object_id, time) WHERE object_id IS NOT NULL;
