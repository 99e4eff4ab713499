//! How machine identities log in: universal-auth settings and client secrets.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::access::{NewClientSecret, UniversalAuthSettings};
use chancery_model::identity::{ClientSecret, Identity};
use chancery_model::permission::Permission;
use chancery_model::{ClientSecretId, IdentityId};
use chancery_wire as wire;
use chancery_wire::identity::{
    ClientSecretAnswer, ClientSecretData, ClientSecretsAnswer, CreateClientSecret, CreatedClientSecret, TrustedIp,
    UniversalAuth, UniversalAuthAnswer,
};

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Ids, OptionalBody};
use crate::identity::find;
use crate::route::Endpoint;

const BASE: &str = "/api/v1/auth/universal-auth/identities/{identityId}";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{IdentityManage, IdentityRead};
    let secrets = format!("{BASE}/client-secrets");
    let secret = format!("{secrets}/{{clientSecretId}}");
    vec![
        Endpoint::post(BASE, IdentityManage, attach)
            .named("attachUniversalAuth", "Let a machine identity log in with client id and secret")
            .may_take::<wire::identity::UniversalAuthSettings>()
            .answers::<UniversalAuthAnswer>(),
        Endpoint::patch(BASE, IdentityManage, update)
            .named("updateUniversalAuth", "Change the universal-auth settings of an identity")
            .takes::<wire::identity::UniversalAuthSettings>()
            .answers::<UniversalAuthAnswer>(),
        Endpoint::get(BASE, IdentityRead, read)
            .named("readUniversalAuth", "Read the universal-auth settings of an identity")
            .answers::<UniversalAuthAnswer>(),
        Endpoint::delete(BASE, IdentityManage, remove)
            .named("removeUniversalAuth", "Take universal auth away from an identity")
            .answers::<UniversalAuthAnswer>(),
        Endpoint::post(&secrets, IdentityManage, create_secret)
            .named("createClientSecret", "Make a client secret; it is shown here only")
            .may_take::<CreateClientSecret>()
            .answers::<CreatedClientSecret>(),
        Endpoint::get(&secrets, IdentityRead, list_secrets)
            .named("listClientSecrets", "List client secrets, without the secrets")
            .answers::<ClientSecretsAnswer>(),
        Endpoint::get(&secret, IdentityRead, read_secret)
            .named("readClientSecret", "Read about a client secret")
            .answers::<ClientSecretAnswer>(),
        Endpoint::post(format!("{secret}/revoke"), IdentityManage, revoke_secret)
            .named("revokeClientSecret", "Revoke a client secret")
            .answers::<ClientSecretAnswer>(),
    ]
}

async fn attach(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
    OptionalBody(body): OptionalBody<wire::identity::UniversalAuthSettings>,
) -> Answer<UniversalAuthAnswer> {
    answer(&authority.attach_universal_auth(&call, id, settings(body)?).await?)
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
    Body(body): Body<wire::identity::UniversalAuthSettings>,
) -> Answer<UniversalAuthAnswer> {
    answer(&authority.update_universal_auth(&call, id, settings(body)?).await?)
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<UniversalAuthAnswer> {
    answer(&find(&authority, &call, id).await?)
}

async fn remove(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<UniversalAuthAnswer> {
    // The answer shows what was removed.
    let before = find(&authority, &call, id).await?;
    authority.remove_universal_auth(&call, id).await?;
    answer(&before)
}

async fn create_secret(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
    OptionalBody(body): OptionalBody<CreateClientSecret>,
) -> Answer<CreatedClientSecret> {
    let new = NewClientSecret { description: body.description, uses_max: body.num_uses_limit, ttl: body.ttl };
    let (row, secret) = authority.create_client_secret(&call, id, new).await?;
    Ok(Json(CreatedClientSecret { client_secret: secret.as_str().to_owned(), client_secret_data: shown(&row) }))
}

async fn list_secrets(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<IdentityId>,
) -> Answer<ClientSecretsAnswer> {
    let identity = find(&authority, &call, id).await?;
    let secrets = authority.reader().client_secrets(identity.id).await?;
    Ok(Json(ClientSecretsAnswer { client_secret_data: secrets.iter().map(shown).collect() }))
}

async fn read_secret(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(identity, id): Ids<IdentityId, ClientSecretId>,
) -> Answer<ClientSecretAnswer> {
    let identity = find(&authority, &call, identity).await?;
    let secret = authority.reader().client_secret(id).await?.filter(|it| it.identity_id == identity.id);
    let secret = secret.ok_or_else(|| ApiError::not_found("Client secret", id))?;
    Ok(Json(ClientSecretAnswer { client_secret_data: shown(&secret) }))
}

async fn revoke_secret(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(identity, id): Ids<IdentityId, ClientSecretId>,
) -> Answer<ClientSecretAnswer> {
    let secret = authority.revoke_client_secret(&call, identity, id).await?;
    Ok(Json(ClientSecretAnswer { client_secret_data: shown(&secret) }))
}

/// A lifetime beyond the maximum is the wire's 422; every other limit is the core's.
fn settings(body: wire::identity::UniversalAuthSettings) -> Result<UniversalAuthSettings, ApiError> {
    if let (Some(ttl), Some(most)) = (body.access_token_ttl, body.access_token_max_ttl)
        && ttl > most
    {
        let message = "accessTokenTTL must not be greater than accessTokenMaxTTL";
        return Err(ApiError::invalid(vec![crate::issues::issue("accessTokenTTL", "custom", message)]));
    }
    let texts = |ips: Vec<TrustedIp>| ips.into_iter().map(|it| it.ip_address).collect();
    Ok(UniversalAuthSettings {
        access_token_ttl: body.access_token_ttl,
        access_token_max_ttl: body.access_token_max_ttl,
        access_token_uses_max: body.access_token_num_uses_limit,
        client_secret_trusted_ips: body.client_secret_trusted_ips.map(texts),
        access_token_trusted_ips: body.access_token_trusted_ips.map(texts),
        lockout_enabled: body.lockout_enabled,
        lockout_threshold: body.lockout_threshold,
        lockout_duration: body.lockout_duration_seconds,
        lockout_counter_reset: body.lockout_counter_reset_seconds,
    })
}

fn answer(identity: &Identity) -> Answer<UniversalAuthAnswer> {
    let Some(auth) = &identity.universal_auth else {
        return Err(ApiError::not_found("Universal auth of the identity", identity.id));
    };
    let ranges = |texts: &[String]| texts.iter().map(|text| TrustedIp { ip_address: text.clone() }).collect();
    let identity_universal_auth = UniversalAuth {
        id: identity.id.as_uuid(),
        client_id: auth.client_id,
        identity_id: identity.id.as_uuid(),
        access_token_ttl: auth.access_token_ttl,
        access_token_max_ttl: auth.access_token_max_ttl,
        access_token_num_uses_limit: 0,
        access_token_period: 0,
        client_secret_trusted_ips: ranges(&auth.client_secret_trusted_ips),
        access_token_trusted_ips: ranges(&auth.access_token_trusted_ips),
        lockout_enabled: auth.lockout_enabled,
        lockout_threshold: auth.lockout_threshold,
        lockout_duration_seconds: auth.lockout_duration,
        lockout_counter_reset_seconds: auth.lockout_counter_reset,
        created_at: auth.created_at.to_string(),
        updated_at: auth.updated_at.to_string(),
    };
    Ok(Json(UniversalAuthAnswer { identity_universal_auth }))
}

fn shown(secret: &ClientSecret) -> ClientSecretData {
    let ttl = secret.expires_at.map_or(0, |end| end.as_seconds().saturating_sub(secret.created_at.as_seconds()));
    ClientSecretData {
        id: secret.id.as_uuid(),
        description: secret.description.clone(),
        client_secret_prefix: secret.prefix.clone(),
        client_secret_num_uses: secret.uses,
        client_secret_num_uses_limit: secret.uses_max,
        client_secret_ttl: ttl,
        is_client_secret_revoked: secret.revoked_at.is_some(),
        identity_ua_id: secret.identity_id.as_uuid(),
        created_at: secret.created_at.to_string(),
        updated_at: secret.updated_at.to_string(),
    }
}
