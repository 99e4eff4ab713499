//! Single values where an API knows only whole sets of them, and cannot make a change depend on what was read before.
//!
//! Nothing there keeps two writers apart, so this process lets its own changes wait for each other, and reads again what it
//! has written. A writer elsewhere can still replace the set between the two: its value or ours is then missing, which the
//! look-up at the zone's servers notices for ours.

use chancery_authority::external::{Asking, UpstreamError};
use tokio::sync::Mutex;

use super::rest::{quoted, unquoted};
use super::{OVERTAKEN_MAX, Txt};

/// Every value of a name, as the API writes them.
pub(super) struct ValueSet {
    /// Seconds.
    pub ttl: u64,
    pub values: Vec<String>,
}

/// An API that reads and writes whole sets. `Ok` of a write says no more than that it is worth reading again: where somebody
/// else was faster, nothing was changed.
pub(super) trait WholeSets: Sync {
    fn read<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, Option<ValueSet>>;

    /// The first value of the name; must not replace a set that has come into being since it was read.
    fn create<'a>(&'a self, txt: Txt<'a>, value: String) -> Asking<'a, ()>;

    /// In place of what is there; without values, the name goes.
    fn replace<'a>(&'a self, txt: Txt<'a>, set: ValueSet) -> Asking<'a, ()>;
}

/// Brings it about that the value is there, or that it is not.
pub(super) async fn settle(
    api: &impl WholeSets,
    turn: &Mutex<()>,
    txt: Txt<'_>,
    is_wanted: bool,
) -> Result<(), UpstreamError> {
    let _turn = turn.lock().await;
    for _ in 0..OVERTAKEN_MAX {
        let before = api.read(txt).await?;
        let is_there = before.as_ref().is_some_and(|set| set.values.iter().any(|it| unquoted(it) == txt.value));
        if is_there == is_wanted {
            return Ok(());
        }
        match before {
            None => api.create(txt, quoted(txt.value)).await?,
            Some(mut set) if is_wanted => {
                set.values.push(quoted(txt.value));
                api.replace(txt, set).await?;
            }
            Some(mut set) => {
                set.values.retain(|it| unquoted(it) != txt.value);
                api.replace(txt, set).await?;
            }
        }
    }
    Err(UpstreamError::passing(format!("the values of {} keep changing while they are written", txt.name)))
}
