//! Codes from an authenticator app: RFC 6238 over HMAC-SHA-1, thirty-second steps, six digits, which is what every such
//! app understands. HMAC-SHA-1 is not weakened by what broke SHA-1 as a hash of documents (RFC 6238 §4.2).

use aws_lc_rs::hmac;
use chancery_model::Randomness;
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// RFC 4226 §4 R6: 160 bits.
const SECRET_LENGTH: usize = 20;
/// RFC 6238 §4.1, X. Seconds.
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
const CODES: u32 = 1_000_000;
/// RFC 6238 §5.2: how far the clocks may differ, in steps either way.
const DRIFT_STEPS: i64 = 1;

/// What the app and the server share.
pub struct TotpSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    #[must_use]
    pub fn generate(random: &dyn Randomness) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        random.fill(secret.as_mut_slice());
        Self(secret)
    }

    /// Takes back what [`Self::bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; SECRET_LENGTH]>::try_from(bytes).ok().map(|it| Self(Zeroizing::new(it)))
    }

    /// To be sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// For the app: RFC 4648 §6 without padding, 32 characters.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()))
    }

    /// Takes back what [`Self::to_base32`] gave, as an app does.
    #[must_use]
    pub fn from_base32(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(text.as_bytes()).ok()?);
        Self::from_bytes(&bytes)
    }

    /// What the app shows at that time; before 1970 nothing.
    #[must_use]
    pub fn code_at(&self, now_seconds: i64) -> Option<String> {
        let step = u64::try_from(now_seconds.div_euclid(STEP_SECONDS)).ok()?;
        Some(format!("{:06}", self.code(step)))
    }

    /// The number of the step whose code this is, if it is one of now, of the step before or of the one after, and later
    /// than `used`: a code that was accepted is accepted once (RFC 6238 §5.2). Spaces in the code are let pass.
    #[must_use]
    pub fn step_of(&self, code: &str, now_seconds: i64, used: i64) -> Option<i64> {
        let code = Self::parsed(code)?;
        let now = now_seconds.div_euclid(STEP_SECONDS);
        // All steps are tried, so that the time taken does not tell which one it was.
        let tried = (now - DRIFT_STEPS..=now + DRIFT_STEPS).map(|step| {
            let expected = u64::try_from(step).map(|step| self.code(step)).unwrap_or(u32::MAX);
            let matches = crate::constant_time_eq(&expected.to_be_bytes(), &code.to_be_bytes());
            (matches && step > used).then_some(step)
        });
        tried.fold(None, |found, step| found.or(step))
    }

    fn parsed(code: &str) -> Option<u32> {
        if code.len() > 32 {
            return None;
        }
        let digits: String = code.chars().filter(|it| *it != ' ').collect();
        let shaped = digits.len() == DIGITS && digits.bytes().all(|it| it.is_ascii_digit());
        if shaped { digits.parse().ok() } else { None }
    }

    /// RFC 4226 §5.3 over the number of the step.
    fn code(&self, step: u64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.as_slice());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0f);
        let word = bytes.get(offset..).and_then(|it| it.first_chunk::<4>()).copied().unwrap_or_default();
        (u32::from_be_bytes(word) & 0x7fff_ffff) % CODES
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    fn rfc_secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn the_counter_gives_the_values_of_rfc_4226_appendix_d() {
        let expected = [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(rfc_secret().code(counter), expected, "{counter}");
        }
    }

    #[test]
    fn the_time_gives_the_values_of_rfc_6238_appendix_b() {
        // The appendix has eight digits; the last six of them are the code of six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc_secret().step_of(code, seconds, 0), Some(seconds / 30), "{seconds}");
            assert_eq!(rfc_secret().code_at(seconds).as_deref(), Some(code));
        }
    }

    #[test]
    fn a_code_counts_one_step_early_or_late_and_once() {
        let check = |seconds: i64, used: i64, expected: Option<i64>| {
            assert_eq!(rfc_secret().step_of("050471", seconds, used), expected, "{seconds} {used}");
        };
        let step = 1_111_111_111 / 30;
        let begin = step * 30;
        for (seconds, expected) in [
            (begin - 31, None),
            (begin - 30, Some(step)),
            (begin, Some(step)),
            (begin + 59, Some(step)),
            (begin + 60, None),
        ] {
            check(seconds, 0, expected);
        }
        check(begin, step - 1, Some(step));
        check(begin, step, None);
        check(begin, step + 5, None);
    }

    #[test]
    fn what_is_not_six_digits_is_no_code() {
        let accepted = |code: &str| rfc_secret().step_of(code, 1_111_111_111, 0).is_some();
        assert!(accepted("050 471") && accepted(" 050471 "));
        for bad in ["", "50471", "0504711", "05O471", "+50471", "٠٥٠٤٧١", "-50471", &" ".repeat(1_000_000)] {
            assert!(!accepted(bad), "{bad:.20}");
        }
        // Times before 1970 have no steps, and do not panic.
        assert_eq!(rfc_secret().step_of("755224", -90, -100), None);
    }

    #[test]
    fn a_secret_is_fresh_and_reads_back() {
        let random = SeededRandomness::new(1);
        let (one, other) = (TotpSecret::generate(&random), TotpSecret::generate(&random));
        assert_ne!(one.bytes(), other.bytes());
        assert_eq!(one.to_base32().len(), 32);
        assert_eq!(rfc_secret().to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(TotpSecret::from_bytes(one.bytes()).unwrap().bytes(), one.bytes());
        assert_eq!(TotpSecret::from_base32(&one.to_base32()).unwrap().bytes(), one.bytes());
        assert!(TotpSecret::from_bytes(b"short").is_none() && TotpSecret::from_base32("GEZDGNBV").is_none());
    }
}
