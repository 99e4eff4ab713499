-- The CA certificates that came along with a certificate made elsewhere. Apart from the certificate's row, because of
-- many certificates only few are imported, and only their readers ask for it.
CREATE TABLE foreign_chain (
    certificate_id BYTEA PRIMARY KEY NOT NULL,
    chain BYTEA NOT NULL
);
