//! What people want to know before and after: rehearsal, trying out, explain, saved searches, bulk renewal, history.
//!
//! ```text
//! default project ── administrator (a person) · operator, auditor, administrator (machines)
//!   ├─ root CA (P-256) ── profile "web" ─┐
//!   │                  └─ profile "api"  ├─ template "servers" (tls-server, one year)
//!   │   (itself) ─────── profile "own"  ─┘
//!   └─ another project with an administrator
//! ```
//!
//! Every story runs on SQLite, and on PostgreSQL where `CHANCERY_TEST_POSTGRES_URL` leads to one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on has failed")]

mod bulk;
mod explain;
mod history;
mod rehearsal;
mod saved_view;
mod world;
