//! The second factor of people: where its secret lies, and whether a code is one of its codes.

use chancery_keys::{Place, TotpSecret};
use chancery_model::identity::User;

use crate::Authority;
use crate::error::Error;

impl Authority {
    /// The step of a code that counts now, if it is one of the person's app.
    pub(super) async fn step_of_code(&self, user: &User, code: &str) -> Result<Option<i64>, Error> {
        let Some(totp) = &user.totp else { return Ok(None) };
        self.ensure_project_key(user.project_id).await?;
        let bytes = self.sealer().unseal(&place(user), &totp.sealed).map_err(Error::internal)?;
        let secret =
            TotpSecret::from_bytes(&bytes).ok_or_else(|| Error::internal("a TOTP secret has a wrong length"))?;
        Ok(secret.step_of(code, self.now().as_seconds(), totp.last_step))
    }

    /// A fresh secret, and the same sealed for the person's row.
    pub(super) async fn new_totp_secret(&self, user: &User) -> Result<(TotpSecret, Vec<u8>), Error> {
        self.ensure_project_key(user.project_id).await?;
        let secret = TotpSecret::generate(self.random());
        let sealed = self.sealer().seal(&place(user), secret.bytes(), self.random()).map_err(Error::internal)?;
        Ok((secret, sealed))
    }
}

const fn place(user: &User) -> Place {
    Place { project: user.project_id, table: "users", column: "totp", record: user.id.as_uuid() }
}
