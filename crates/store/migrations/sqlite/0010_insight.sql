-- Certificates that are neither revoked nor deleted, by the algorithm of their key ('': a kind that is never made here) and
-- the UTC day of their end: see store/src/statistics/algorithm.rs. Each node adds to its own rows.
CREATE TABLE algorithm_statistic (
    project_id BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    node TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (project_id, bucket, algorithm, node)
) STRICT, WITHOUT ROWID;

INSERT INTO algorithm_statistic (project_id, bucket, algorithm, node, value)
    SELECT p.id, c.not_after / 86400000, COALESCE(c.description ->> 'keyAlgorithm', ''), '', COUNT(*)
    FROM certificate c JOIN project p ON p.number = c.project WHERE c.revoked_at IS NULL GROUP BY 1, 2, 3;

-- Searches of the inventory that people keep. They go with the person.
CREATE TABLE saved_view (
    id BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id),
    owner BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    shared INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (project_id, owner, name)
) STRICT;
CREATE INDEX saved_view_owner ON saved_view (owner);
