//! The calls that other programs make most, with the structs of the wire on both sides.

use chancery_wire::certificate::{
    Certificate, CertificateAnswer, CertificateBundle, CertificatesAnswer, FlatIssueAnswer, IssueAnswer,
    IssueCertificate, RenewCertificate, SearchCertificates,
};
use chancery_wire::evaluation::EvaluateAnswer;
use chancery_wire::identity::{
    CreateClientSecret, CreateIdentity, CreatedClientSecret, Identity, IdentityAnswer, UniversalAuth,
    UniversalAuthAnswer,
};
use chancery_wire::profile::{Profile, ProfileAnswer};
use chancery_wire::status::StatusAnswer;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use crate::client::{CERT_MANAGER, Client};
use crate::error::CliError;
use crate::lookup;

impl Client {
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    async fn tell<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// How the server is; needs no session.
    pub async fn status(&self) -> Result<StatusAnswer, CliError> {
        self.ask("/api/status").await
    }

    pub async fn issue(&self, request: &IssueCertificate) -> Result<IssueAnswer, CliError> {
        self.tell(&format!("{CERT_MANAGER}/certificates"), request).await
    }

    /// What would become of a request; issues nothing.
    pub async fn evaluate(&self, request: &IssueCertificate) -> Result<EvaluateAnswer, CliError> {
        self.tell(&format!("{CERT_MANAGER}/certificates/evaluate"), request).await
    }

    pub async fn renew(&self, id: Uuid, request: &RenewCertificate) -> Result<FlatIssueAnswer, CliError> {
        self.tell(&format!("{CERT_MANAGER}/certificates/{id}/renew"), request).await
    }

    pub async fn certificate(&self, id: Uuid) -> Result<Certificate, CliError> {
        let answer: CertificateAnswer = self.ask(&format!("{CERT_MANAGER}/certificates/{id}")).await?;
        Ok(answer.certificate)
    }

    /// The certificate, its chain and, where this caller may read it, its key.
    pub async fn bundle(&self, id: Uuid) -> Result<CertificateBundle, CliError> {
        self.ask(&format!("{CERT_MANAGER}/certificates/{id}/bundle")).await
    }

    pub async fn search(&self, project_id: &str, search: &SearchCertificates) -> Result<CertificatesAnswer, CliError> {
        self.tell(&format!("/api/v1/projects/{project_id}/certificates/search"), search).await
    }

    pub async fn profile_by_slug(&self, slug: &str) -> Result<Profile, CliError> {
        let path = format!("{CERT_MANAGER}/certificate-profiles/slug/{}", lookup::encoded(slug));
        Ok(self.ask::<ProfileAnswer>(&path).await?.certificate_profile)
    }

    pub async fn create_identity(&self, new: &CreateIdentity) -> Result<Identity, CliError> {
        let answer: IdentityAnswer = self.tell("/api/v1/identities", new).await?;
        Ok(answer.identity)
    }

    /// Lets a machine identity log in with client id and secret, with the usual settings.
    pub async fn attach_universal_auth(&self, identity: Uuid) -> Result<UniversalAuth, CliError> {
        let path = format!("/api/v1/auth/universal-auth/identities/{identity}");
        let answer: UniversalAuthAnswer = self.tell(&path, &json!({})).await?;
        Ok(answer.identity_universal_auth)
    }

    pub async fn create_client_secret(
        &self,
        identity: Uuid,
        new: &CreateClientSecret,
    ) -> Result<CreatedClientSecret, CliError> {
        self.tell(&format!("/api/v1/auth/universal-auth/identities/{identity}/client-secrets"), new).await
    }
}
