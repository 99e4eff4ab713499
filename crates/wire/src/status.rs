//! How the server is.

wire! {
    pub struct StatusAnswer {
        pub date: String,
        /// Always `Ok`.
        pub message: String,
        pub version: String,
        pub features: Features,
        /// What the renewal scheduler does in this build.
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
}
