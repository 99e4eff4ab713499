//! People who sign in, as administrators see them.

use uuid::Uuid;

use crate::words::Role;

wire! {
    /// Invite a person.
    pub struct CreateUser {
        pub email: String,
        pub role: Role,
    }

    /// Change a person's role. Their sessions end.
    pub struct UpdateUser {
        pub role: Role,
    }

    /// A person.
    pub struct User {
        pub id: Uuid,
        pub email: String,
        pub role: Role,
        pub project_id: Uuid,
        /// False while an invitation, or a reset, waits for a password to be chosen.
        pub has_password: bool,
        /// Whether a log-in needs a code from an authenticator app.
        pub has_second_factor: bool,
        /// Present while failed attempts keep the person out.
        pub locked_until: Option<String>,
        pub created_at: String,
        pub updated_at: String,
    }

    /// A link that signs the person in once and has them choose a password. It is shown here and never again.
    pub struct UserLink {
        pub token: String,
        /// Where to open it; absent while the server does not know its own address (`site_url`).
        pub url: Option<String>,
        pub expires_at: String,
    }

    pub struct UserAnswer {
        pub user: User,
    }

    pub struct InvitedUserAnswer {
        pub user: User,
        pub sign_in_link: UserLink,
    }

    /// All of the project, by e-mail address.
    pub struct UsersAnswer {
        pub users: Vec<User>,
        pub total_count: u64,
    }
}
