-- Applications: what they are, which profiles they may use, and who belongs to them.

CREATE TABLE application (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

-- api: how the application enrols with the profile by the API; NULL while that is off.
CREATE TABLE application_profile (
    application_id BLOB NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    profile_id BLOB NOT NULL REFERENCES profile (id) ON DELETE CASCADE,
    api TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (application_id, profile_id)
) STRICT;
CREATE INDEX application_profile_profile ON application_profile (profile_id);

CREATE TABLE application_member (
    id BLOB PRIMARY KEY NOT NULL,
    application_id BLOB NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    actor_kind INTEGER NOT NULL,
    actor_id BLOB NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT application_member_actor UNIQUE (application_id, actor_id)
) STRICT;
CREATE INDEX application_member_of ON application_member (actor_id);

-- Counter kind 5: certificates of an application. Certificates and requests keep the id of an application that is gone. Most have none, and cost nothing here.
CREATE INDEX certificate_application ON certificate (application_id, n) WHERE application_id IS NOT NULL;
CREATE INDEX request_application ON request (application_id, n) WHERE application_id IS NOT NULL;
