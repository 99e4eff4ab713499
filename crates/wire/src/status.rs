//! How the server is.

wire! {
    pub struct StatusAnswer {
        pub date: String,
        /// Always `Ok`.
        pub message: String,
        pub version: String,
        pub features: Features,
        /// What the renewal scheduler does just now.
        pub scheduler: String,
        pub email_configured: bool,
        pub invite_only_signup: bool,
        pub redis_configured: bool,
    }

    /// Doors and back doors of this build.
    pub struct Features {
        pub enrollment: Vec<String>,
        pub certificate_authorities: Vec<String>,
        pub key_algorithms: Vec<String>,
    }

    pub struct HealthAnswer {
        pub status: String,
    }

    /// Whether calls can be answered, and how long what was published holds without this server.
    pub struct ReadyAnswer {
        pub status: String,
        /// Until the first CRL would end; absent while there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub crl_lapses_in_seconds: Option<i64>,
        /// Until the first OCSP responder's certificate would end; absent while there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ocsp_lapses_in_seconds: Option<i64>,
    }
}
