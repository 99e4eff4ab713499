//! Texts that prove something to whoever holds them: `<prefix><22 characters id>_<43 characters secret>`, opaque to clients
//! and easy to find for secret scanners. The id is the look-up key; of the secret (256 random bits) only a keyed hash is
//! stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_model::Randomness;
use uuid::Uuid;
use zeroize::Zeroizing;

const ID_LENGTH: usize = 22;
const SECRET_LENGTH: usize = 43;

/// The two parts of such a text.
pub(super) struct Bearer {
    pub id: Uuid,
    pub secret: Zeroizing<[u8; 32]>,
}

impl Bearer {
    pub fn generate(id: Uuid, random: &dyn Randomness) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut_slice());
        Self { id, secret }
    }

    pub fn parse(prefix: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?;
        let (id, rest) = rest.split_at_checked(ID_LENGTH)?;
        let secret_text = rest.strip_prefix('_').filter(|it| it.len() == SECRET_LENGTH)?;
        let mut id_bytes = [0; 16];
        let mut secret = Zeroizing::new([0; 32]);
        let decoded = URL_SAFE_NO_PAD.decode_slice(id, &mut id_bytes).ok()?;
        let decoded_secret = URL_SAFE_NO_PAD.decode_slice(secret_text, secret.as_mut_slice()).ok()?;
        (decoded == 16 && decoded_secret == 32).then(|| Self { id: Uuid::from_bytes(id_bytes), secret })
    }

    pub fn to_text(&self, prefix: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + ID_LENGTH + 1 + SECRET_LENGTH));
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(self.id.as_bytes(), &mut text);
        text.push('_');
        URL_SAFE_NO_PAD.encode_string(self.secret.as_slice(), &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;
    use proptest::prelude::*;

    use super::*;

    fn bearer(seed: u64) -> Bearer {
        Bearer::generate(Uuid::from_u128(seed.into()), &SeededRandomness::new(seed))
    }

    #[test]
    fn a_token_reads_back_and_any_change_is_another_token_or_none() {
        let bearer = bearer(1);
        let text = bearer.to_text("chy_");
        assert_eq!(text.len(), 70);
        let back = Bearer::parse("chy_", &text).unwrap();
        assert_eq!((back.id, back.secret.as_slice()), (bearer.id, bearer.secret.as_slice()));
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            if let Some(other) = Bearer::parse("chy_", &changed) {
                assert!(other.id != bearer.id || other.secret.as_slice() != bearer.secret.as_slice(), "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let text = bearer(2).to_text("chy_");
        let long = format!("{}A", text.as_str());
        let spaced = format!(" {}", text.as_str());
        for bad in [
            "",
            "chy_",
            "Bearer x",
            &text[..69],
            &long,
            &spaced,
            &text.replace("chy_", "chl_"),
            "chy_ääääääääääääääääääääääää",
        ] {
            assert!(Bearer::parse("chy_", bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,90}", tail in "[A-Za-z0-9_\u{e4}-]{60,70}") {
            let _ = Bearer::parse("chy_", &text);
            let _ = Bearer::parse("chy_", &format!("chy_{tail}"));
        }
    }
}
