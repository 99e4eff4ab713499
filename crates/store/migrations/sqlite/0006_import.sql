-- The CA certificates that came along with a certificate made elsewhere. Apart from the certificate's row, because of
-- many certificates only few are imported, and only their readers ask for it.
CREATE TABLE foreign_chain (
    certificate_id BLOB PRIMARY KEY NOT NULL,
    chain BLOB NOT NULL
) STRICT;
