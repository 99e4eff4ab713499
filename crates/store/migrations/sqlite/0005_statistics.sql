-- Figures about the inventory: see store/src/statistics.rs. Each node adds to its own rows; bucket is a UTC day since 1970.
CREATE TABLE statistic (
    project_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    node TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (project_id, kind, bucket, node)
) STRICT, WITHOUT ROWID;

INSERT INTO statistic (project_id, kind, bucket, node, value)
    SELECT p.id, CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END, c.not_after / 86400000, '', COUNT(*)
    FROM certificate c JOIN project p ON p.number = c.project WHERE c.revoked_at IS NULL GROUP BY 1, 2, 3;
INSERT INTO statistic (project_id, kind, bucket, node, value)
    SELECT p.id, 2, c.created_at / 86400000, '', COUNT(*)
    FROM certificate c JOIN project p ON p.number IN (c.project, -c.project) WHERE c.source = 0 GROUP BY 1, 3;
INSERT INTO statistic (project_id, kind, bucket, node, value)
    SELECT p.id, 3, c.revoked_at / 86400000, '', COUNT(*)
    FROM certificate c JOIN project p ON p.number IN (c.project, -c.project) WHERE c.revoked_at IS NOT NULL GROUP BY 1, 3;

-- Expired sessions are forgotten in the order in which they ended.
CREATE INDEX access_token_end ON access_token (expires_at);
