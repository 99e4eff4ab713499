-- What searches ask most of a certificate lies in the index that they walk along by end of validity. Names are asked of the
-- rows: here those are small, since long values lie apart, and an index entry cannot be as long as names can.
DROP INDEX certificate_end;
CREATE INDEX certificate_end ON certificate (project, not_after, n) INCLUDE (revoked_at, renewed_by, ca_id, profile_id);
