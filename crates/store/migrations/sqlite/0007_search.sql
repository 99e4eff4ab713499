-- A row of this table fills most of a page, and a search that asks ten thousand rows must not read them. What is
-- asked most lies in the indexes that the searches walk along anyway.
DROP INDEX certificate_project;
CREATE INDEX certificate_project ON certificate (project, n, common_name, alt_names);
DROP INDEX certificate_end;
CREATE INDEX certificate_end ON certificate (project, not_after, n, revoked_at, renewed_by, ca_id, profile_id);
