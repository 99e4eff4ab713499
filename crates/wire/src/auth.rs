//! Logging in, and the life of an access token.

wire! {
    /// Log in as a machine identity. JSON or form-encoded.
    pub struct UniversalAuthLogin {
        pub client_id: String,
        pub client_secret: String,
        /// Sent by clients of the older service; not used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization_slug: Option<String>,
    }

    /// Log in as a person.
    pub struct UserLogin {
        pub email: String,
        pub password: String,
        /// The six digits of the authenticator app, where one is set up; without them the answer is `auth.otp_required`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub otp: Option<String>,
    }

    /// A session. Send the token as `Authorization: Bearer <accessToken>`.
    pub struct SessionAnswer {
        pub access_token: String,
        /// Seconds until the token expires.
        pub expires_in: i64,
        /// Seconds from its creation beyond which no renewal goes.
        #[serde(rename = "accessTokenMaxTTL")]
        pub access_token_max_ttl: i64,
        /// Always `Bearer`.
        pub token_type: String,
    }

    /// A token in the body of a renewal or revocation.
    pub struct TokenBody {
        pub access_token: String,
    }

    /// Done, in words.
    pub struct MessageAnswer {
        pub message: String,
    }
}
