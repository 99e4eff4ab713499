-- Renewal, revocation, and what tells the world of it.

ALTER TABLE certificate ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN friendly_name TEXT;
ALTER TABLE certificate ADD COLUMN crl_partition INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN renewal_settings TEXT;
ALTER TABLE certificate ADD COLUMN has_weak_key INTEGER NOT NULL DEFAULT 0;
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
ALTER TABLE ca_certificate ADD COLUMN key_id BLOB;
UPDATE ca_certificate SET key_id = COALESCE(
    (SELECT ca.key_id FROM ca WHERE ca.id = ca_certificate.ca_id), x'00000000000000000000000000000000');
ALTER TABLE ca_certificate ADD COLUMN parent_certificate_id BLOB;
ALTER TABLE ca_certificate ADD COLUMN revoked_at INTEGER;
ALTER TABLE ca_certificate ADD COLUMN revocation_reason INTEGER;
UPDATE ca_certificate SET parent_certificate_id = (
    SELECT parent.active_certificate FROM ca parent WHERE parent.id = ca_certificate.parent_ca_id);
-- The serial number in octets, by which relying parties ask.
ALTER TABLE ca_certificate ADD COLUMN serial BLOB;
UPDATE ca_certificate SET serial = unhex(serial_number);
CREATE INDEX ca_certificate_serial ON ca_certificate (serial);
CREATE INDEX ca_certificate_key ON ca_certificate (key_id, version);

-- See model/src/job.rs. While a job is leased its due time is the end of the lease; asked_at is when it is wanted again.
CREATE TABLE job (
    kind INTEGER NOT NULL,
    object BLOB NOT NULL,
    project_id BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    token INTEGER NOT NULL,
    lease_until INTEGER,
    asked_at INTEGER,
    last_error TEXT,
    PRIMARY KEY (kind, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_due ON job (due_at);
CREATE INDEX job_project ON job (project_id, kind, due_at, object);
CREATE INDEX job_failed ON job (project_id, kind, due_at, object) WHERE attempts > 0;

-- What was due before this table was there.
INSERT INTO job (kind, object, project_id, due_at, deadline, attempts, token)
    SELECT 1, c.id, p.id, c.due_at, c.not_after, 0, 0 FROM certificate c JOIN project p ON p.number = c.project
    WHERE c.due_at IS NOT NULL AND c.renewed_by IS NULL AND c.revoked_at IS NULL;

CREATE TABLE crl (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL,
    ca_id BLOB NOT NULL,
    key_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    base_number INTEGER NOT NULL,
    base_this_update INTEGER,
    previous_base INTEGER,
    complete TEXT,
    delta TEXT,
    created_at INTEGER NOT NULL,
    CONSTRAINT crl_partition UNIQUE (key_id, partition)
) STRICT;
CREATE INDEX crl_ca ON crl (ca_id);

-- The bytes, apart from the row that every publication changes. part 0: complete, 1: delta.
CREATE TABLE crl_body (
    crl_id BLOB NOT NULL,
    part INTEGER NOT NULL,
    number INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (crl_id, part)
) STRICT;

-- Revoked certificates in the order of the CRL. Released ones stay until delta CRLs need not name them any more.
CREATE TABLE crl_entry (
    key_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    serial BLOB NOT NULL,
    der BLOB NOT NULL,
    reason INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    released_at INTEGER,
    PRIMARY KEY (key_id, partition, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX crl_entry_recorded ON crl_entry (key_id, recorded_at);
CREATE INDEX crl_entry_end ON crl_entry (key_id, not_after);
CREATE INDEX crl_entry_released ON crl_entry (key_id, released_at) WHERE released_at IS NOT NULL;

-- The certificate and sealed key by which a CA key's OCSP answers are signed now.
CREATE TABLE ocsp_responder (
    ca_key_id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL,
    ca_id BLOB NOT NULL,
    key_id BLOB NOT NULL,
    der BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL
) STRICT;
