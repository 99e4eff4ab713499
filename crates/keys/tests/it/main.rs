//! Software keys as strangers see them: `pkix` verifies every signature, the `openssl` program reads our PKCS#8 and
//! judges our signatures, and keys that it makes are read back or refused.

#[cfg(test)]
mod openssl;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod signing;
