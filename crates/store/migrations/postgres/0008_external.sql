-- External CAs, the credentials they are asked with, and what is under way at them.

-- kind: internal, or what is spoken at the other end. An external CA signs with no key of ours, so key_id may be NULL; its
-- configuration is another document. standing, sealed: what is kept of the relation to it, open and secret.
ALTER TABLE ca ADD COLUMN kind TEXT NOT NULL DEFAULT 'internal';
ALTER TABLE ca ADD COLUMN standing TEXT;
ALTER TABLE ca ADD COLUMN sealed BYTEA;
ALTER TABLE ca ALTER COLUMN key_id DROP NOT NULL;

CREATE TABLE app_connection (
    id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    description TEXT,
    app TEXT NOT NULL,
    method TEXT NOT NULL,
    settings TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- No reference to the CA: what is done may outlive it.
CREATE TABLE external_order (
    request_id BYTEA PRIMARY KEY NOT NULL,
    project_id BYTEA NOT NULL,
    ca_id BYTEA NOT NULL,
    phase TEXT NOT NULL,
    renews BYTEA,
    key_id BYTEA,
    csr BYTEA NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    reference TEXT,
    quarantined BYTEA,
    give_up_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- A certificate is renewed by one order at a time.
CREATE UNIQUE INDEX external_order_renews ON external_order (renews) WHERE renews IS NOT NULL AND phase = 'ordering';
CREATE INDEX external_order_renewals ON external_order (renews) WHERE renews IS NOT NULL;
CREATE INDEX external_order_open ON external_order (ca_id) WHERE phase <> 'done';

-- What this server's listeners answer to a CA that looks whether a name is ours.
CREATE TABLE challenge (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    request_id BYTEA NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name, request_id)
);
CREATE INDEX challenge_request ON challenge (request_id);
