-- External CAs, the credentials they are asked with, and what is under way at them.

-- kind: internal, or what is spoken at the other end. An external CA signs with no key of ours, so key_id may be NULL; its
-- configuration is another document. standing, sealed: what is kept of the relation to it, open and secret.
ALTER TABLE ca ADD COLUMN kind TEXT NOT NULL DEFAULT 'internal';
ALTER TABLE ca ADD COLUMN standing TEXT;
ALTER TABLE ca ADD COLUMN sealed BLOB;
-- SQLite takes no NOT NULL back; another column takes the place of the old one, and no reference is touched.
ALTER TABLE ca ADD COLUMN signing_key BLOB;
UPDATE ca SET signing_key = key_id;
ALTER TABLE ca DROP COLUMN key_id;
ALTER TABLE ca RENAME COLUMN signing_key TO key_id;

CREATE TABLE app_connection (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    description TEXT,
    app TEXT NOT NULL,
    method TEXT NOT NULL,
    settings TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

-- No reference to the CA: what is done may outlive it.
CREATE TABLE external_order (
    request_id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL,
    ca_id BLOB NOT NULL,
    phase TEXT NOT NULL,
    renews BLOB,
    key_id BLOB,
    csr BLOB NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    reference TEXT,
    quarantined BLOB,
    give_up_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
-- A certificate is renewed by one order at a time.
CREATE UNIQUE INDEX external_order_renews ON external_order (renews) WHERE renews IS NOT NULL AND phase = 'ordering';
CREATE INDEX external_order_renewals ON external_order (renews) WHERE renews IS NOT NULL;
CREATE INDEX external_order_open ON external_order (ca_id) WHERE phase <> 'done';

-- What this server's listeners answer to a CA that looks whether a name is ours.
CREATE TABLE challenge (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    request_id BLOB NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX challenge_request ON challenge (request_id);
