//! Who signs an intermediate CA: another CA here, a Vault or OpenBao, or somebody whose certificates are carried by hand.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::hierarchy::CaSignerChoice;
use chancery_model::authority::{CertificationAuthority, OutsideSigner, SigningSettings};
use chancery_model::external::VaultConfiguration;
use chancery_model::permission::Permission;
use chancery_model::{CaId, ConnectionId};
use chancery_wire::authority::{
    ImportCaCertificateAnswer, InstallFromVault, SigningConfig, SigningConfigAnswer, VaultDestination,
};
use chancery_wire::words::CaSigner;

use crate::authority::find;
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, OptionalBody};
use crate::issues::Issues;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CaEdit, CaRead};
    let path = |rest: &str| format!("/api/v1/cert-manager/ca/internal/{{caId}}/{rest}");
    vec![
        Endpoint::get(path("signing-config"), CaRead, signing)
            .named("readCaSigningConfig", "Who signs an intermediate CA; null when nobody was named")
            .answers::<SigningConfigAnswer>(),
        Endpoint::post(path("signing-config"), CaEdit, create_signing)
            .named("createCaSigningConfig", "Say who signs an intermediate CA")
            .takes::<SigningConfig>()
            .answers::<SigningConfigAnswer>(),
        Endpoint::patch(path("signing-config"), CaEdit, update_signing)
            .named("updateCaSigningConfig", "Change who signs an intermediate CA")
            .takes::<SigningConfig>()
            .answers::<SigningConfigAnswer>(),
        Endpoint::post(path("install-certificate-vault"), CaEdit, install_from_vault)
            .named(
                "installCaCertificateFromVault",
                "Have an intermediate CA signed by the Vault that its signing config names",
            )
            .may_take::<InstallFromVault>()
            .answers::<ImportCaCertificateAnswer>(),
    ]
}

async fn signing(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
) -> Answer<Option<SigningConfigAnswer>> {
    Ok(Json(shown_signing(&find(&authority, &call, id).await?)))
}

async fn create_signing(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<SigningConfig>,
) -> Answer<SigningConfigAnswer> {
    let Some(kind) = body.kind else {
        let mut issues = Issues::default();
        issues.add_as("type", "invalid_type", "Required");
        issues.finish()?;
        return Err(ApiError::internal("an issue that was noted is gone"));
    };
    let parent = signer(kind, &body)?;
    let ca = authority.configure_ca_signing(&call, id, parent).await?;
    shown_signing(&ca).map(Json).ok_or_else(|| ApiError::internal("the signing settings were not kept"))
}

async fn update_signing(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    Body(body): Body<SigningConfig>,
) -> Answer<SigningConfigAnswer> {
    let before = find(&authority, &call, id).await?;
    let Some(stored) = before.configuration.signing else {
        return Err(ApiError::not_found("Signing config of the CA", id));
    };
    let parent = signer(named_signer(&body, &stored), &over(body, &stored))?;
    let ca = authority.configure_ca_signing(&call, id, parent).await?;
    shown_signing(&ca).map(Json).ok_or_else(|| ApiError::internal("the signing settings were not kept"))
}

fn stored_kind(stored: &SigningSettings) -> CaSigner {
    match stored {
        SigningSettings { parent_ca_id: Some(_), .. } => CaSigner::Internal,
        SigningSettings { outside: Some(_), .. } => CaSigner::Vault,
        _ => CaSigner::Manual,
    }
}

/// Naming a parent or a connection says that it signs; naming nothing changes nothing.
fn named_signer(body: &SigningConfig, stored: &SigningSettings) -> CaSigner {
    let implied = if body.parent_ca_id.is_some() {
        Some(CaSigner::Internal)
    } else {
        (body.app_connection_id.is_some() || body.destination_config.is_some()).then_some(CaSigner::Vault)
    };
    body.kind.or(implied).unwrap_or_else(|| stored_kind(stored))
}

/// A change laid over what is stored of the same kind of signer.
fn over(body: SigningConfig, stored: &SigningSettings) -> SigningConfig {
    match (named_signer(&body, stored), &stored.outside) {
        (CaSigner::Internal, _) => SigningConfig {
            parent_ca_id: body.parent_ca_id.or_else(|| stored.parent_ca_id.map(|it| it.as_uuid())),
            ..body
        },
        (CaSigner::Vault, Some(outside)) => SigningConfig {
            app_connection_id: body.app_connection_id.or_else(|| Some(outside.connection_id.as_uuid())),
            destination_config: body.destination_config.or_else(|| Some(destination(outside))),
            ..body
        },
        _ => body,
    }
}

/// What this build lacks, or what does not belong to the kind of signer, is refused, never stored and ignored.
fn signer(kind: CaSigner, body: &SigningConfig) -> Result<CaSignerChoice, ApiError> {
    let refuse = |field: &str, text: &str| Err(ApiError::bad_request("ca.signing", format!("{field}: {text}")));
    if kind != CaSigner::Vault && body.app_connection_id.is_some() {
        return refuse("appConnectionId", "only type vault signs by an app connection; leave it out");
    }
    if kind != CaSigner::Vault && body.destination_config.is_some() {
        return refuse("destinationConfig", "only type vault has a destination; leave it out");
    }
    if kind != CaSigner::Internal && body.parent_ca_id.is_some() {
        return refuse("parentCaId", "only type internal has a parent here; leave it out");
    }
    match kind {
        CaSigner::Internal => match body.parent_ca_id {
            Some(parent) => Ok(CaSignerChoice::Parent(CaId::from_uuid(parent))),
            None => refuse("parentCaId", "name the internal CA that signs this one"),
        },
        CaSigner::Vault => match body.app_connection_id {
            Some(connection) => Ok(CaSignerChoice::Outside(outside(connection, body.destination_config.as_ref()))),
            None => refuse("appConnectionId", "name the app connection to the Vault or OpenBao that signs this CA"),
        },
        CaSigner::Manual => Ok(CaSignerChoice::ByHand),
        CaSigner::Venafi | CaSigner::AzureAdCs => refuse(
            "type",
            "this signer does not exist in this build; use internal, vault, or manual with csr and import-certificate",
        ),
    }
}

fn outside(connection: uuid::Uuid, destination: Option<&VaultDestination>) -> OutsideSigner {
    let text = |text: Option<&String>| text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    OutsideSigner {
        connection_id: ConnectionId::from_uuid(connection),
        mount: text(destination.and_then(|it| it.mount.as_ref()))
            .unwrap_or_else(|| VaultConfiguration::MOUNT_USUAL.to_owned()),
        issuer_ref: text(destination.and_then(|it| it.issuer_ref.as_ref())),
    }
}

fn destination(from: &OutsideSigner) -> VaultDestination {
    VaultDestination { mount: Some(from.mount.clone()), issuer_ref: from.issuer_ref.clone() }
}

fn shown_signing(ca: &CertificationAuthority) -> Option<SigningConfigAnswer> {
    let settings = ca.configuration.signing.as_ref()?;
    Some(SigningConfigAnswer {
        id: settings.id,
        ca_id: ca.id.as_uuid(),
        kind: stored_kind(settings),
        created_at: settings.created_at.to_string(),
        updated_at: settings.updated_at.to_string(),
        parent_ca_id: settings.parent_ca_id.map(|id| id.as_uuid()),
        app_connection_id: settings.outside.as_ref().map(|it| it.connection_id.as_uuid()),
        destination_config: settings.outside.as_ref().map(destination),
        last_external_certificate_id: None,
    })
}

async fn install_from_vault(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CaId>,
    OptionalBody(body): OptionalBody<InstallFromVault>,
) -> Answer<ImportCaCertificateAnswer> {
    let mut issues = Issues::default();
    let not_after = issues.date("notAfter", body.not_after.as_deref().filter(|it| !it.is_empty()));
    let path_length = body.max_path_length.unwrap_or(-1);
    issues.range("maxPathLength", path_length, -1..=255);
    issues.finish()?;
    authority.install_signed_elsewhere(&call, id, path_length, not_after).await?;
    let message = "Successfully installed the certificate that the external CA signed".to_owned();
    Ok(Json(ImportCaCertificateAnswer { message, ca_id: id.as_uuid() }))
}

#[cfg(test)]
mod tests {
    use chancery_model::Timestamp;
    use uuid::Uuid;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);

    fn stored(parent: bool, outside: bool) -> SigningSettings {
        let signer = OutsideSigner {
            connection_id: ConnectionId::from_uuid(ID),
            mount: "team/pki".to_owned(),
            issuer_ref: Some("root".to_owned()),
        };
        let at = Timestamp::from_seconds(0);
        SigningSettings {
            id: ID,
            parent_ca_id: parent.then(|| CaId::from_uuid(ID)),
            outside: outside.then_some(signer),
            created_at: at,
            updated_at: at,
        }
    }

    /// The kind of signer with its place, or the field of the refusal.
    fn after(before: &SigningSettings, body: &str) -> String {
        let body: SigningConfig = crate::json::parse(body.as_bytes()).unwrap();
        match signer(named_signer(&body, before), &over(body, before)) {
            Ok(CaSignerChoice::Parent(_)) => "internal".to_owned(),
            Ok(CaSignerChoice::Outside(it)) => format!("vault {} {}", it.mount, it.issuer_ref.unwrap_or_default()),
            Ok(CaSignerChoice::ByHand) => "manual".to_owned(),
            Err(error) => error.body("r").message.to_string().split(':').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn a_change_of_the_signer_keeps_what_it_leaves_out() {
        let check = |before: &SigningSettings, body: &str, expected: &str| {
            assert_eq!(after(before, &body.replace("ID", &ID.to_string())), expected, "{body}");
        };
        let (by_parent, by_vault, by_hand) = (stored(true, false), stored(false, true), stored(false, false));
        check(&by_parent, "{}", "internal");
        check(&by_vault, "{}", "vault team/pki root");
        check(&by_hand, "{}", "manual");
        check(&by_vault, r#"{"destinationConfig":{"mount":"pki2"}}"#, "vault pki2 ");
        check(&by_parent, r#"{"appConnectionId":"ID"}"#, "vault pki ");
        check(&by_parent, r#"{"type":"vault"}"#, "appConnectionId");
        check(&by_parent, r#"{"type":"manual"}"#, "manual");
        check(&by_vault, r#"{"parentCaId":"ID"}"#, "internal");
        check(&by_vault, r#"{"type":"internal"}"#, "parentCaId");
        check(&by_hand, r#"{"type":"manual","appConnectionId":"ID"}"#, "appConnectionId");
        check(&by_hand, r#"{"type":"internal","parentCaId":"ID","destinationConfig":{}}"#, "destinationConfig");
        check(&by_hand, r#"{"type":"vault","parentCaId":"ID","appConnectionId":"ID"}"#, "parentCaId");
        check(&by_hand, r#"{"type":"venafi"}"#, "type");
    }
}
