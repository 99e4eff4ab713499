-- Renewal, revocation, and what tells the world of it.

ALTER TABLE certificate ADD COLUMN source BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN friendly_name TEXT;
ALTER TABLE certificate ADD COLUMN crl_partition BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN renewal_settings TEXT;
ALTER TABLE certificate ADD COLUMN has_weak_key BIGINT NOT NULL DEFAULT 0;
-- The ready-made questions to the inventory: each index holds only the few certificates that one of them asks for.
CREATE INDEX certificate_renewal_error ON certificate (project, n) WHERE renewal_error IS NOT NULL;
CREATE INDEX certificate_weak ON certificate (project, n) WHERE has_weak_key = 1;
-- Not many are imported, and not many have a name of their own.
CREATE INDEX certificate_imported ON certificate (project, n) WHERE source = 1;
CREATE INDEX certificate_friendly ON certificate (project, friendly_name, n) WHERE friendly_name IS NOT NULL;
-- Who else uses a key, before it is deleted with its certificate.
CREATE INDEX certificate_key ON certificate (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX certificate_superseded ON certificate (project, not_after, n) WHERE renewed_by IS NOT NULL AND revoked_at IS NULL;

ALTER TABLE ca ADD COLUMN last_renewal TEXT;

-- Which key a CA certificate is over. Of a CA that is gone nobody asks that any more.
ALTER TABLE ca_certificate ADD COLUMN key_id BYTEA;
UPDATE ca_certificate SET key_id = COALESCE(
    (SELECT ca.key_id FROM ca WHERE ca.id = ca_certificate.ca_id), '\x00000000000000000000000000000000'::bytea);
ALTER TABLE ca_certificate ADD COLUMN parent_certificate_id BYTEA;
ALTER TABLE ca_certificate ADD COLUMN revoked_at BIGINT;
ALTER TABLE ca_certificate ADD COLUMN revocation_reason BIGINT;
UPDATE ca_certificate SET parent_certificate_id = (
    SELECT parent.active_certificate FROM ca parent WHERE parent.id = ca_certificate.parent_ca_id);
-- The serial number in octets, by which relying parties ask.
ALTER TABLE ca_certificate ADD COLUMN serial BYTEA;
UPDATE ca_certificate SET serial = decode(serial_number, 'hex');
CREATE INDEX ca_certificate_serial ON ca_certificate (serial);
CREATE INDEX ca_certificate_key ON ca_certificate (key_id, version);

-- See model/src/job.rs. While a job is leased its due time is the end of the lease; asked_at is when it is wanted again.
CREATE TABLE job (
    kind BIGINT NOT NULL,
    object BYTEA NOT NULL,
    project_id BYTEA NOT NULL,
    due_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    token BIGINT NOT NULL,
    lease_until BIGINT,
    asked_at BIGINT,
    last_error TEXT,
    PRIMARY KEY (kind, object)
);
CREATE INDEX job_due ON job (due_at);
CREATE INDEX job_project ON job (project_id, kind, due_at, object);
CREATE INDEX job_failed ON job (project_id, kind, due_at, object) WHERE attempts > 0;

-- What was due before this table was there.
INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token)
    SELECT 1, c.id, p.id, c.due_at, c.not_after, 0, 0 FROM certificate c JOIN project p ON p.number = c.project
    WHERE c.due_at IS NOT NULL AND c.renewed_by IS NULL AND c.revoked_at IS NULL;

CREATE TABLE crl (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL,
    ca_id BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    partition BIGINT NOT NULL,
    number BIGINT NOT NULL,
    base_number BIGINT NOT NULL,
    base_this_update BIGINT,
    previous_base BIGINT,
    complete TEXT,
    delta TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT crl_partition UNIQUE (key_id, partition)
);
CREATE INDEX crl_ca ON crl (ca_id);

-- The bytes, apart from the row that every publication changes. part 0: complete, 1: delta.
CREATE TABLE crl_body (
    crl_id BYTEA NOT NULL,
    part BIGINT NOT NULL,
    number BIGINT NOT NULL,
    der BYTEA NOT NULL,
    PRIMARY KEY (crl_id, part)
);

-- Revoked certificates in the order of the CRL. Released ones stay until delta CRLs need not name them any more.
CREATE TABLE crl_entry (
    key_id BYTEA NOT NULL,
    partition BIGINT NOT NULL,
    serial BYTEA NOT NULL,
    der BYTEA NOT NULL,
    reason BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    released_at BIGINT,
    PRIMARY KEY (key_id, partition, serial)
);
CREATE INDEX crl_entry_recorded ON crl_entry (key_id, recorded_at);
CREATE INDEX crl_entry_end ON crl_entry (key_id, not_after);
CREATE INDEX crl_entry_released ON crl_entry (key_id, released_at) WHERE released_at IS NOT NULL;

-- The certificate and sealed key by which a CA key's OCSP answers are signed now.
CREATE TABLE ocsp_responder (
    ca_key_id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL,
    ca_id BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    der BYTEA NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
