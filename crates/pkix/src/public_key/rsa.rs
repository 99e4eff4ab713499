//! RSA public keys: sizes, exponents, and weaknesses that can be seen in the modulus. Sizes are judged before any
//! arithmetic, so that a giant key costs nothing.

use super::wide::Wide;
use super::{KeyError, size_refused};
use crate::algorithm::KeyAlgorithm;
use crate::asn1::{Reader, tag, unsigned_integer};

const FERMAT_ROUNDS: usize = 100;

/// Size and exponent of an RSAPublicKey, within the bounds of FIPS 186-5 §5.1.
pub(super) fn check_form(key: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let (modulus, exponent) = parts(key)?;
    let algorithm = by_size(modulus)?;
    check_exponent(exponent)?;
    Ok(algorithm)
}

/// Weaknesses of the modulus; the caller has checked the form.
pub(super) fn check_modulus(key: &[u8]) -> Result<(), KeyError> {
    let weak = |why: &str| Err(KeyError::new("key.weak", format!("The RSA modulus {why}; make a new key")));
    let n = Wide::from_be_bytes(parts(key)?.0);
    if n.modulo(2) == 0 || has_small_factor(&n) {
        return weak("has a small factor");
    }
    if has_roca_fingerprint(&n) {
        return weak("has the fingerprint of a broken key generator (CVE-2017-15361)");
    }
    if n.has_close_factors(FERMAT_ROUNDS) {
        return weak("has two factors close together");
    }
    Ok(())
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 §A.1.1).
fn parts(key: &[u8]) -> Result<(&[u8], &[u8]), KeyError> {
    let mut outer = Reader::new(key);
    let mut parts = outer.sequence("something other than an RSA key")?;
    outer.finish()?;
    let modulus = unsigned_integer(parts.expect(tag::INTEGER, "something other than an RSA modulus")?)?;
    let exponent = unsigned_integer(parts.expect(tag::INTEGER, "something other than an RSA exponent")?)?;
    parts.finish()?;
    Ok((modulus, exponent))
}

fn by_size(modulus: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    // The top bit is set exactly when the size in bits is the size in octets times eight.
    let is_whole = modulus.first().is_some_and(|top| *top >= 0x80);
    match (modulus.len(), is_whole) {
        (256, true) => Ok(KeyAlgorithm::Rsa2048),
        (384, true) => Ok(KeyAlgorithm::Rsa3072),
        (512, true) => Ok(KeyAlgorithm::Rsa4096),
        _ => Err(size_refused()),
    }
}

fn check_exponent(exponent: &[u8]) -> Result<(), KeyError> {
    let is_odd = exponent.last().is_some_and(|low| low & 1 == 1);
    let at_least_65537 = match exponent {
        [first, middle, last] => [*first, *middle, *last] >= [1, 0, 1],
        longer => longer.len() > 3,
    };
    if is_odd && at_least_65537 && exponent.len() <= 32 {
        return Ok(());
    }
    Err(KeyError::new("key.exponent", "The RSA exponent must be odd, at least 65537 and below 2^256"))
}

/// SP 800-89 §5.3.3: no prime factor below 752. Primes are multiplied up to 32 bits so that the wide division is done
/// once for several of them.
fn has_small_factor(n: &Wide) -> bool {
    let mut primes = (3..752u32).step_by(2).filter(|one| is_prime(*one)).peekable();
    while primes.peek().is_some() {
        let mut product = 1u32;
        let mut group = Vec::new();
        while let Some(more) = primes.peek().and_then(|prime| product.checked_mul(*prime)) {
            product = more;
            group.extend(primes.next());
        }
        let rest = n.modulo(product);
        if group.iter().any(|prime| rest.is_multiple_of(*prime)) {
            return true;
        }
    }
    false
}

fn is_prime(odd: u32) -> bool {
    (3..).step_by(2).take_while(|factor| factor * factor <= odd).all(|factor| !odd.is_multiple_of(factor))
}

/// Primes of that generator are 65537^a modulo a product of small primes, so the modulus is a power of 65537 modulo each
/// of them. An honest modulus passes all of these with a chance of less than one in a hundred million.
fn has_roca_fingerprint(n: &Wide) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let rest = n.modulo(*prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::Writer;

    /// 2048 bits, product of two honest primes, made once with `openssl genrsa`.
    const GOOD: &str = "b5ee15aef1e20f4916f279f92e814d98ab065cd2ed319ec3fa28422063e1c9083556ffed6c4623576bc948ace51c49ccfce7\
        2b03ea4b49e70e9485c9d775944fc2926affbec07552349c9c4d3eadabd2e2f08e21fba4de70b2119222fed4d833650e6052\
        6702530f1601994e504621b12b684cd0382b47919ce1a76d8b105dda9eb2e3c301af5187071ec0357ca96a3c7788267f097f\
        600d0874c743eee608eece6afc10ac3efabe825494ba291dcc30cdb954563ef067175242d0f322da508cebb38aa0f8974a97\
        ccdb75e5d899d0384c28a999eb3742c5406641879c98cd90f0b505d8b873329ea7d8516c6ac2b22c9582db7e28eabb46801f\
        46e7cdb85d75";

    fn key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(tag::SEQUENCE, |w| {
            w.unsigned(modulus);
            w.unsigned(exponent);
        });
        w.into_bytes()
    }

    fn check(key: &[u8]) -> Result<(), KeyError> {
        check_form(key)?;
        check_modulus(key)
    }

    fn code(modulus: &[u8], exponent: &[u8]) -> Option<&'static str> {
        check(&key(modulus, exponent)).err().map(|error| error.code)
    }

    const F4: [u8; 3] = [1, 0, 1];

    #[test]
    fn exponents_outside_the_bounds_are_refused() {
        let modulus = hex::decode(GOOD).unwrap();
        let mut too_big = vec![2];
        too_big.extend([0; 31]);
        too_big.push(1);
        for (exponent, expected) in [
            (&F4[..], None),
            (&[1, 0, 3], None),
            (&[1, 0, 0, 1], None),
            (&[0xff; 32], None),
            (&[], Some("key.exponent")),
            (&[1], Some("key.exponent")),
            (&[2], Some("key.exponent")),
            (&[3], Some("key.exponent")),
            (&[0xff, 0xff], Some("key.exponent")),
            (&[1, 0, 0], Some("key.exponent")),
            (&too_big, Some("key.exponent")),
            (&[0xff; 300], Some("key.exponent")),
        ] {
            assert_eq!(code(&modulus, exponent), expected, "{exponent:?}");
        }
    }

    #[test]
    fn sizes_other_than_three_are_refused_before_arithmetic() {
        for octets in [64, 128, 255, 257, 2048, 8192] {
            assert_eq!(code(&vec![0xff; octets], &F4), Some("key.size"), "{octets} octets");
        }
        let mut short = vec![0x7f];
        short.extend([0xff; 255]);
        assert_eq!(code(&short, &F4), Some("key.size"), "2047 bits");
        let mut long = vec![1];
        long.extend([0xff; 256]);
        assert_eq!(code(&long, &F4), Some("key.size"), "2049 bits");
    }

    #[test]
    fn weak_moduli_are_refused() {
        let good = hex::decode(GOOD).unwrap();
        let with_remainder = |divisor: u32, wanted: u32| {
            // Changes the low octets until the remainder is the wanted one, keeping the number odd.
            let mut modulus = good.clone();
            for low in (1..=0xffffu32).step_by(2) {
                modulus[254..].copy_from_slice(&(low as u16).to_be_bytes());
                if Wide::from_be_bytes(&modulus).modulo(divisor) == wanted {
                    return modulus;
                }
            }
            panic!("no such modulus");
        };
        let mut even = good.clone();
        *even.last_mut().unwrap() &= 0xfe;
        assert_eq!(code(&even, &F4), Some("key.weak"));
        for prime in [3, 5, 7, 241, 743, 751] {
            assert_eq!(code(&with_remainder(prime, 0), &F4), Some("key.weak"), "divisible by {prime}");
        }
        // Two primes of 1024 bits, 2^200 apart.
        let close = hex::decode(
            "e31d2eb8d1af451b50a2a07060fba626815e7259c7123a660dcb5c4917076ffee36a9a791eb55d96bbafdc8292c79ff3c2b6\
        044b722006b20fdc792c0f5b93d7e7430fadaffa4dc50e773c945188e6dc9d926b62f4624cbd46c417de38793fc18de8b25d\
        bd35e3b00f52be68703ff38ffd744a9b87e8614cb08c161a2aaf0282309c54002c3c88a8c7cd93bc01b8800238a7b5407621\
        8a20ae665b48c44634a31139a73250a6b9174c7ee0502e2bbb71ad0e25140b609f4af6444df9665d005d6b325092125bf43b\
        096bd86f7c07ba2800b81d16ade8f1a7a438fd6e1a356bb92c28aac7cb80b4237637276121958028788a33b5c57d479348e6\
        79f081ef6d77",
        )
        .unwrap();
        assert!(check(&key(&close, &F4)).unwrap_err().message.contains("close together"));
        let roca = hex::decode(
            "efad256f4a6f25f093e6a3969159eeba26bafeb97eeb23c912dc06ccf1ca39cc4e05bac0d4b747cea79985e2acf981356912\
        732e43f180cbd5c5645feb15bd7fe6f2a4df1cdb19b9bea01fcda5754af0df1e4f0db53b1859c1c597163a009cfa3956ff91\
        727b08d4c82f0da62de0554a70ff2cfd2918dd95328ce9bc6a3aefdb01cac1c4ae7d862fbcab6920ee1c79356fa985094405\
        01682308ab9ce4c89a24db9ad625bd275872edf7addec8417abffdf11b4901a931e2b3ec8451b207e8e1fc51ab31a4f6d018\
        5ed22b785f6c7317b9e1021047c41ca05735c2c0e5bdf57e320335126da7e822347f5d42a486d07331e6237ad9d8fed499b3\
        2b5a26008cf5",
        )
        .unwrap();
        assert!(check(&key(&roca, &F4)).unwrap_err().message.contains("CVE-2017-15361"));
    }

    #[test]
    fn negative_and_padded_integers_are_refused() {
        let refused = |der: &str| {
            assert_eq!(check(&hex::decode(der).unwrap()).unwrap_err().code, "key.encoding", "{der}");
        };
        refused("30060201ff020103");
        refused("3007020200010201 03".replace(' ', "").as_str());
        refused("300602010302010300");
        refused("3003020103");
    }
}
