//! External certification authorities: a profile may point at a CA that Chancery does not run.
//!
//! A request against such a profile is resolved and decided like any other. Then, in place of *sign*, it is *reserved*
//! (written down as an order, with its key sealed) and a job advances the order at the CA, step by step, until what came
//! back can be held against what was asked for and recorded.
//!
//! | file | what |
//! |---|---|
//! | `upstream.rs` | the traits that the crate `upstream` implements |

mod upstream;

pub use upstream::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, Next, NoUpstream, OpenedConnection, OrderInHand,
    RenewalAdvice, Settled, Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError, UpstreamErrorKind,
};
