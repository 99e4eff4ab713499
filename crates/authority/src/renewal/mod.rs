//! Renewal: an enrolment copied from the old certificate, edited, and walked down the same path as any other.
//!
//! `renew.rs` is the verb, for a caller and for the server itself; `copy.rs` turns a certificate into the attributes of its
//! successor. `due.rs` says when the server would renew it and `outlook.rs` writes that into each new certificate;
//! `configure.rs` lets a client change it. `scheduled.rs` is the job that renews, `obstacle.rs` what stands in its way,
//! `forecast.rs` what is to come and what did not come about. `bulk.rs` renews what a search finds, `options.rs`
//! says beforehand what can be asked for.

mod bulk;
mod configure;
mod copy;
mod due;
mod forecast;
#[cfg(test)]
mod interleaving;
mod obstacle;
mod options;
mod outlook;
mod renew;
pub(crate) mod scheduled;

pub(crate) use outlook::{RenewalOutlook, RenewalRules};
pub(crate) use scheduled::{is_tried_at, last_words, next_try};

pub use bulk::{BulkRenewal, BulkRenewalOutcome, BulkRenewalPreview};
pub use configure::{ConfiguredRenewal, RenewalConfiguration};
pub use forecast::{DueRenewal, Forecast, OverdueRenewal};
pub use obstacle::{RenewalCounters, RenewalErrorType};
pub use options::RenewalOptions;
pub use renew::{RenewRequest, RenewalKeySource};
