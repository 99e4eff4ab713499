//! What the cryptography alone costs, in the same library, the same run and on the same processors as the server.

use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};

use super::machine;

/// About the size of the part of a certificate that is signed.
const MESSAGE: [u8; 700] = [0x5a; 700];
const WINDOW: Duration = Duration::from_millis(300);

/// CPU nanoseconds for one operation, the best of three short windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bare {
    pub verify: u64,
    pub sign: u64,
    pub generate: u64,
}

/// Measures in a process of its own, which can be kept on the server's processors.
pub fn measure_pinned(cpus: Option<&str>) -> Result<Bare, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpus]).arg(own);
            command
        }
        None => Command::new(own),
    };
    let output = command.args(["bench", "crypto"]).output().map_err(|error| format!("taskset: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| format!("bench crypto said {text:?} {}", String::from_utf8_lossy(&output.stderr)))
}

pub fn print() -> Result<(), String> {
    let Bare { verify, sign, generate } = measure()?;
    println!("verify {verify} sign {sign} generate {generate}");
    Ok(())
}

fn parse(text: &str) -> Option<Bare> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["verify", verify, "sign", sign, "generate", generate] = words.as_slice() else { return None };
    Some(Bare { verify: verify.parse().ok()?, sign: sign.parse().ok()?, generate: generate.parse().ok()? })
}

fn measure() -> Result<Bare, String> {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let random = SystemRandom::new();
    let failed = |_| "the library refused".to_owned();
    let key = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
    let signature = key.sign(&random, &MESSAGE).map_err(failed)?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
    Ok(Bare {
        verify: best(|| public.verify(&MESSAGE, signature.as_ref()).is_ok())?,
        sign: best(|| key.sign(&random, &MESSAGE).is_ok())?,
        generate: best(|| EcdsaKeyPair::generate(algorithm).is_ok())?,
    })
}

fn best(operation: impl Fn() -> bool) -> Result<u64, String> {
    let mut best = u64::MAX;
    for _ in 0..3 {
        let (began, cpu) = (Instant::now(), machine::thread_cpu_nanos()?);
        let mut count = 0;
        while began.elapsed() < WINDOW {
            for _ in 0..16 {
                if !operation() {
                    return Err("the library refused".to_owned());
                }
            }
            count += 16;
        }
        best = best.min((machine::thread_cpu_nanos()? - cpu) / count);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_understood() {
        assert_eq!(parse("verify 1 sign 2 generate 3\n"), Some(Bare { verify: 1, sign: 2, generate: 3 }));
        assert_eq!(parse("verify 1 sign"), None);
    }
}
