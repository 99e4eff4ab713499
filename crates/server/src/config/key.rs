//! The list of keys: name, what it may be, default, meaning.

/// One key of the configuration.
pub struct Key {
    pub name: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    /// The default as a person would write it.
    pub default: &'static str,
    /// What it does, in sentences.
    pub meaning: &'static str,
    /// May not stand in the file.
    pub environment_only: bool,
}

impl Key {
    const fn new(name: &'static str, form: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, form, default, meaning, environment_only: false }
    }

    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

pub const PREFIX: &str = "CHANCERY_";

pub const KEYS: &[Key] = &[
    Key::new(
        "data_dir",
        "path",
        "./chancery-data",
        "Folder of the embedded database and of the key-encryption key. Created with mode 0700 if it is missing.",
    ),
    Key::new(
        "listen",
        "address:port",
        "127.0.0.1:8200",
        "Where the API is served. Port 0 takes any free port. Plain HTTP is served on loopback only, unless behind_proxy \
         is true; elsewhere TLS files are needed.",
    ),
    Key::new(
        "behind_proxy",
        "true or false",
        "false",
        "A reverse proxy in front of this server terminates TLS. Allows plain HTTP on any address and honours \
         X-Forwarded-For from trusted_proxies.",
    ),
    Key::new(
        "trusted_proxies",
        "list of addresses or CIDR blocks",
        "loopback, if behind_proxy is true",
        "Peers whose X-Forwarded-For header is believed. In the environment: separated by commas.",
    ),
    Key::new(
        "tls_certificate_file",
        "path",
        "none",
        "PEM file with the server's certificate, followed by its intermediates. Read again when it changes.",
    ),
    Key::new(
        "tls_private_key_file",
        "path",
        "none",
        "PEM file with the private key of that certificate. Others must not be able to read it.",
    ),
    Key::new(
        "site_url",
        "http or https URL",
        "none",
        "Where people and clients reach this server, without a trailing slash.",
    ),
    Key::new(
        "repository_url",
        "http or https URL",
        "none",
        "Where anyone fetches CA certificates and revocation data, written into certificates. Plain HTTP is right here \
         (RFC 5280 §8). Without it, certificates carry no such addresses. Port 0 stands for the port that \
         repository_listen took.",
    ),
    Key::new(
        "repository_listen",
        "address:port",
        "none",
        "A further listener, always plain HTTP, that serves CRLs, OCSP and CA certificates and nothing else. It may stand \
         on any address, since nothing secret goes over it. The main listener serves the same paths too.",
    ),
    Key::new(
        "crl_mirrors",
        "list of directories and http or https URLs",
        "none",
        "Places that each new CRL is copied to: a directory (absolute path) gets the file <crlId>.crl, a URL is sent \
         PUT <url>/<crlId>.crl; delta CRLs go to <crlId>.delta.crl. In the environment: separated by commas.",
    ),
    Key::new(
        "repository_calls_per_second",
        "0 to 1000000",
        "2000",
        "Calls for CRLs, OCSP and CA certificates per second and client address before they are answered 429; twice as \
         many may come at once. 0 turns it off.",
    ),
    Key::new(
        "acme_http_listen",
        "address:port",
        "none",
        "Where HTTP-01 challenges of external ACME CAs are answered, such as 0.0.0.0:80. The CA connects to port 80 of each \
         name in a certificate; that port must lead here. Nothing else is answered there. Plain HTTP is right: the CA asks \
         for nothing secret.",
    ),
    Key::new(
        "acme_tls_listen",
        "address:port",
        "none",
        "Where TLS-ALPN-01 challenges of external ACME CAs are answered, such as 0.0.0.0:443. The CA connects to port 443 \
         of each name in a certificate; connections with the ALPN protocol acme-tls/1 must be passed on here with TLS \
         untouched. Nothing else is answered there.",
    ),
    Key::new(
        "dns_hooks",
        "list of name=path",
        "none",
        "Programs that app connections of the app dns-exec may name, to publish and remove DNS records: the name as the \
         connection says it, and the absolute path. Only programs in this list are ever run. In the environment: separated \
         by commas.",
    ),
    Key::new(
        "node",
        "1 to 64 of a-z 0-9 . _ -",
        "node-1",
        "Name of this node; each node of one database needs its own, and keeps its own audit chain under it.",
    ),
    Key::new(
        "database_url",
        "postgres:// URL",
        "none: SQLite in data_dir",
        "PostgreSQL database to use instead of the embedded one. Its password is never printed.",
    ),
    Key::new(
        "kek_file",
        "path",
        "kek in data_dir",
        "File of the key-encryption key: 32 bytes in hexadecimal or base64, mode 0600. Made on the first start with an \
         embedded database. Without it the sealed private keys are lost: keep a copy apart from the database.",
    ),
    Key {
        name: "kek",
        form: "32 bytes in hexadecimal or base64",
        default: "none",
        meaning: "The key-encryption key itself, instead of kek_file. In the environment only; weaker than a file, \
                  since other processes of the same user can read it.",
        environment_only: true,
    },
    Key::new(
        "smtp_url",
        "smtp or smtps URL",
        "none: no e-mail",
        "Mail server that alerts are sent by: smtps://user@mail.example.com uses TLS from the start, smtp:// demands \
         STARTTLS except towards loopback. Without a port: 465 and 587. The password stands elsewhere.",
    ),
    Key::new(
        "smtp_from",
        "e-mail address, with or without a name",
        "none",
        "Sender of these messages, such as Chancery <pki@example.com>.",
    ),
    Key::new(
        "smtp_password_file",
        "path",
        "none",
        "File with the password for the user in smtp_url. Others must not be able to read it.",
    ),
    Key {
        name: "smtp_password",
        form: "text",
        default: "none",
        meaning: "The password itself, instead of smtp_password_file. In the environment only.",
        environment_only: true,
    },
    Key::new(
        "egress_allowed_networks",
        "list of addresses or CIDR blocks",
        "none",
        "Private networks in which webhooks, external CAs and DNS services may nevertheless be asked. Public addresses are \
         always allowed; link-local ones, and with them cloud metadata services, never; loopback ones are refused at the \
         start. In the environment: separated by commas.",
    ),
    Key::new(
        "egress_loopback_for_tests",
        "true or false",
        "false",
        "Lets egress_allowed_networks hold loopback addresses. For tests whose services run on the same machine; on a real \
         server everybody who may set a webhook or an external CA could then have its inner services asked.",
    ),
    Key::new(
        "egress_proxy",
        "http or https URL",
        "none",
        "Proxy for webhooks, external CAs and DNS services. It then resolves the names, and has to refuse those that lead inside. The environment's own \
         proxy variables are not used.",
    ),
    Key::new(
        "egress_ca_file",
        "path",
        "none",
        "PEM file with CA certificates that webhooks, external CAs, DNS services and the mail server are trusted by, beside \
         the system's.",
    ),
    Key::new("log_format", "text or json", "text", "Form of the log lines on standard error."),
    Key::new(
        "log_level",
        "error, warn, info, debug, trace, or a filter",
        "info",
        "How much is logged; a filter such as info,chancery_store=debug sets modules apart.",
    ),
    Key::new("connections_max", "1 to 65536", "4096", "Connections served at once. Further ones wait until one ends."),
    Key::new(
        "header_bytes_max",
        "8192 to 1048576",
        "16384",
        "Bytes of a request's first line and headers; more is answered 431.",
    ),
    Key::new(
        "header_timeout_seconds",
        "1 to 600",
        "10",
        "Time for a TLS handshake and for the headers of a request to arrive; an idle connection is closed after it.",
    ),
    Key::new(
        "stop_timeout_seconds",
        "0 to 600",
        "10",
        "How long running requests may go on after the server was told to stop.",
    ),
    Key::new(
        "failed_calls_per_second",
        "0 to 1000000",
        "50",
        "Unauthenticated or failed calls per second and client address before they are answered 429; 0 turns it off. \
         Authenticated calls that succeed are not limited.",
    ),
];
