//! Projects.

use uuid::Uuid;

use crate::nullable::Nullable;

wire! {
    /// The boundary that nobody sees across.
    pub struct Project {
        pub id: Uuid,
        pub name: String,
        pub slug: String,
        /// Always `cert-manager`.
        #[serde(rename = "type")]
        pub kind: String,
        pub description: Option<String>,
        /// The one organisation of this server; equals the default project's id.
        pub org_id: Uuid,
        pub auto_capitalization: bool,
        pub version: u32,
        pub upgrade_status: Option<String>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct ProjectsAnswer {
        pub projects: Vec<Project>,
    }

    pub struct ProjectAnswer {
        pub project: Project,
    }

    pub struct WorkspaceAnswer {
        pub workspace: Project,
    }

    /// Make a project.
    pub struct CreateProject {
        /// 1 to 64 characters.
        pub project_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_description: Option<String>,
        /// Lower-case letters, digits and hyphens; made from the name when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub slug: Option<String>,
    }

    /// Change a project; keys left out stay as they are.
    pub struct UpdateProject {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub slug: Option<String>,
    }
}
