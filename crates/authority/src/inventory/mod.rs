//! The inventory beyond what was issued here: certificates that were made elsewhere come in by [`import`], PKCS#12 files
//! are looked into by [`bundle`], and what has ended long ago goes out by [`cleanup`]. `history` tells what happened to one
//! certificate, `saved_view` keeps people's searches, `table` writes what a search finds.
//!
//! Called by the doors and by the job loop. A foreign certificate is read leniently and shown as it is: it never passes
//! the template rules or the lint, because nothing here answers for what it says.

pub mod bundle;
mod chain;
pub(crate) mod cleanup;
mod foreign;
mod history;
pub mod import;
mod saved_view;
mod table;

pub(crate) use chain::{Chain, has_signed};
pub(crate) use foreign::{description, serial_number};

pub use bundle::{BundleEntry, BundleImport, BundleItem};
pub use cleanup::{CleanUpPatch, CleanUpPolicy};
pub use history::HistoryEntry;
pub use import::{ImportLabels, ImportOutcome, ImportRequest, Imported};
pub use saved_view::NewSavedView;
pub use table::CertificateTable;
