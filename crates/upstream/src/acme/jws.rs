//! Signed requests (RFC 7515, flattened JSON) and the account's key (RFC 7517, RFC 7638).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chancery_authority::external::UpstreamError;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// The key that speaks for an account: ECDSA on P-256, which every ACME CA takes (RFC 8555 §6.2).
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    x: String,
    y: String,
}

impl AccountKey {
    pub fn generate() -> Result<Self, UpstreamError> {
        let unmade = |_| UpstreamError::passing("a key for the account could not be made");
        Self::of(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(unmade)?)
    }

    /// Base64 of PKCS#8, as [`AccountKey::secret`] gives it.
    pub fn from_secret(secret: &str) -> Result<Self, UpstreamError> {
        let unreadable = || UpstreamError::lasting("the stored key of the account cannot be read; save the CA again");
        let der = Zeroizing::new(STANDARD.decode(secret).map_err(|_| unreadable())?);
        Self::of(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| unreadable())?)
    }

    fn of(pair: EcdsaKeyPair) -> Result<Self, UpstreamError> {
        let (x, y) = match pair.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => {
                let (x, y) = point.split_at(32);
                (base64url(x), base64url(y))
            }
            _ => return Err(UpstreamError::lasting("the key of the account is not on P-256; save the CA again")),
        };
        Ok(Self { pair, x, y })
    }

    /// To be sealed.
    pub fn secret(&self) -> Result<Zeroizing<String>, UpstreamError> {
        let unwritten = |_| UpstreamError::passing("the key of the account could not be written");
        let der = self.pair.to_pkcs8v1().map_err(unwritten)?;
        Ok(Zeroizing::new(STANDARD.encode(der.as_ref())))
    }

    pub fn jwk(&self) -> Value {
        json!({ "crv": "P-256", "kty": "EC", "x": self.x, "y": self.y })
    }

    /// RFC 7638: over the required members in this order, without blanks.
    pub fn thumbprint(&self) -> String {
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x, self.y);
        base64url(&sha256(text.as_bytes()))
    }

    /// `protected` gets its `alg` here.
    pub fn sign(&self, mut protected: Value, payload: &str) -> Result<Value, UpstreamError> {
        if let Some(header) = protected.as_object_mut() {
            header.insert("alg".to_owned(), json!("ES256"));
        }
        let (protected, payload) = (base64url(protected.to_string().as_bytes()), base64url(payload.as_bytes()));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes())
            .map_err(|_| UpstreamError::passing("a request to the CA could not be signed"))?;
        Ok(json!({ "protected": protected, "payload": payload, "signature": base64url(signature.as_ref()) }))
    }
}

/// RFC 8555 §7.3.4: the account's public key under the MAC key that the CA's operator gave out.
pub(super) fn external_account_binding(
    key_id: &str,
    mac_key: &str,
    new_account_url: &str,
    account: &AccountKey,
) -> Result<Value, UpstreamError> {
    let mac_key = mac_key.trim();
    let decoded = [URL_SAFE_NO_PAD, URL_SAFE, STANDARD, STANDARD_NO_PAD].iter().find_map(|it| it.decode(mac_key).ok());
    let secret = decoded.map(Zeroizing::new).filter(|it| !it.is_empty());
    let secret = secret.ok_or_else(|| {
        UpstreamError::lasting("eabHmacKey is not base64url; copy it from the CA exactly as it is given out")
    })?;
    let protected = json!({ "alg": "HS256", "kid": key_id, "url": new_account_url }).to_string();
    let (protected, payload) = (base64url(protected.as_bytes()), base64url(account.jwk().to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let mac = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
    Ok(json!({ "protected": protected, "payload": payload, "signature": base64url(mac.as_ref()) }))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn decoded(text: &Value) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_signed_request_verifies_with_the_key_that_it_names() {
        let made = AccountKey::generate().unwrap();
        let key = AccountKey::from_secret(&made.secret().unwrap()).unwrap();
        assert_eq!(key.thumbprint(), made.thumbprint());
        let signed = key.sign(json!({ "url": "https://ca.test/", "jwk": key.jwk() }), "{}").unwrap();
        let header: Value = serde_json::from_slice(&decoded(&signed["protected"])).unwrap();
        assert_eq!(header["alg"], "ES256");
        let point = [vec![4], decoded(&header["jwk"]["x"]), decoded(&header["jwk"]["y"])].concat();
        let text = format!("{}.{}", signed["protected"].as_str().unwrap(), signed["payload"].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(text.as_bytes(), &decoded(&signed["signature"]))
            .unwrap();
        assert_eq!(decoded(&signed["payload"]), b"{}");
    }

    #[test]
    fn an_empty_payload_stays_empty() {
        let key = AccountKey::generate().unwrap();
        assert_eq!(key.sign(json!({}), "").unwrap()["payload"], "");
    }

    #[test]
    fn a_thumbprint_is_over_the_canonical_members() {
        let key = AccountKey::generate().unwrap();
        // serde_json keeps members sorted, which is the canonical order here.
        assert_eq!(key.thumbprint(), base64url(&sha256(key.jwk().to_string().as_bytes())));
    }

    #[test]
    fn a_binding_key_is_read_in_every_spelling_of_base64() {
        let key = AccountKey::generate().unwrap();
        let bind = |text: &str| external_account_binding("kid-1", text, "https://ca.test/new", &key);
        let signatures: Vec<_> = ["-_8", "-_8=", "+/8=", "+/8", " -_8\n"].map(|it| bind(it).unwrap()).into();
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]));
        let header: Value = serde_json::from_slice(&decoded(&signatures[0]["protected"])).unwrap();
        assert_eq!(header, json!({ "alg": "HS256", "kid": "kid-1", "url": "https://ca.test/new" }));
        for wrong in ["", "not base64!", "a"] {
            assert!(bind(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_stored_key_that_is_none_is_refused() {
        for wrong in ["", "AAAA", "not base64"] {
            assert!(AccountKey::from_secret(wrong).is_err(), "{wrong:?}");
        }
    }
}
