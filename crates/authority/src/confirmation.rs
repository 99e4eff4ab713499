//! Changes of many objects happen in two steps: a preview that counts and gives a token, and the same call with the token.
//! The token stands for this purpose, these words, this caller and the time of the preview, so that what comes in between
//! is not changed by surprise. Nothing is stored: it is a keyed hash.

use chancery_model::Timestamp;

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// How long a token is good for.
const GOOD_FOR_SECONDS: i64 = 600;

/// What a token is given for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// Tells purposes apart.
    pub label: &'static str,
    /// Of a refusal.
    pub code: &'static str,
}

impl Authority {
    /// `<milliseconds of the preview>.<keyed hash>`. `words` say what is to be changed, and how.
    pub(crate) fn confirmation(&self, call: &Call, purpose: Purpose, words: &[&str], at: Timestamp) -> String {
        let millis = at.as_millis();
        let message = serde_json::json!([millis, call.project_id(), call.requester.actor().id, words]).to_string();
        format!("{millis}.{}", hex::encode(self.sealer().keyed_hash(purpose.label, message.as_bytes())))
    }

    /// The time of the preview.
    pub(crate) fn check_confirmation(
        &self,
        call: &Call,
        purpose: Purpose,
        words: &[&str],
        confirm: &str,
    ) -> Result<Timestamp, Error> {
        let refuse = |text: &str| Error::malformed(purpose.code, "confirm", text);
        let other = "the token was given for another search, reason or caller; ask again without it";
        let millis = confirm.split_once('.').and_then(|(millis, _)| millis.parse().ok());
        let at = Timestamp::from_millis(millis.ok_or_else(|| refuse(other))?);
        let expected = self.confirmation(call, purpose, words, at);
        if !chancery_keys::constant_time_eq(expected.as_bytes(), confirm.as_bytes()) {
            return Err(refuse(other));
        }
        let age = self.now().as_seconds() - at.as_seconds();
        if !(0..=GOOD_FOR_SECONDS).contains(&age) {
            return Err(refuse("the token is older than ten minutes; ask again without it and look at the count"));
        }
        Ok(at)
    }
}
