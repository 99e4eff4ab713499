//! App connections: credentials for services elsewhere, used by reference.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::nullable::Nullable;

wire! {
    /// Keep credentials for a service elsewhere. What the app and the method need is among the options.
    pub struct CreateConnection {
        /// Lower-case letters, digits and hyphens, 1 to 64; unique in the project.
        pub name: String,
        /// Up to 1000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        /// How to log in there.
        pub method: String,
        /// By field name. Secret ones are sealed and never shown again.
        pub credentials: BTreeMap<String, String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Whether the credentials are tried at the service before they are kept; default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub test: Option<bool>,
    }

    /// Change a connection; keys left out stay as they are. Its app never changes.
    #[derive(Default)]
    pub struct UpdateConnection {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
        /// Another method needs all of its fields.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub method: Option<String>,
        /// The fields given replace those kept, `null` takes one away; secrets left out stay, unless the credentials would
        /// go to another server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub credentials: Option<BTreeMap<String, Option<String>>>,
        /// Whether changed credentials are tried at the service before they are kept; default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub test: Option<bool>,
    }

    /// Credentials for a service elsewhere, without their secrets.
    pub struct AppConnection {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub description: Option<String>,
        /// Such as `aws`.
        pub app: String,
        pub method: String,
        /// The fields that are not secret.
        pub credentials: BTreeMap<String, String>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct ConnectionAnswer {
        pub app_connection: AppConnection,
    }

    pub struct ConnectionsAnswer {
        pub app_connections: Vec<AppConnection>,
    }

    pub struct TestConnectionAnswer {
        pub message: String,
        pub app_connection: AppConnection,
    }

    /// An app that connections can be made to.
    pub struct ConnectionOption {
        /// The word in the path.
        pub app: String,
        /// As people call it.
        pub name: String,
        /// Ways of logging in.
        pub methods: Vec<String>,
        /// What each way needs.
        pub method_fields: Vec<ConnectionMethod>,
    }

    /// A way of logging in.
    pub struct ConnectionMethod {
        pub method: String,
        pub fields: Vec<ConnectionField>,
    }

    /// One field of the credentials.
    pub struct ConnectionField {
        pub name: String,
        pub required: bool,
        /// Sealed, and never shown again.
        pub secret: bool,
        pub description: String,
        /// `text`, `url`, `base64`, `pem`, `json` or `enum`.
        pub form: String,
        /// The words of an `enum`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub options: Vec<String>,
    }

    pub struct ConnectionOptionsAnswer {
        pub app_connection_options: Vec<ConnectionOption>,
    }
}
