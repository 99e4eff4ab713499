//! External CAs, and the connections they are asked with.

use chancery_model::authority::CaStatus;
use chancery_model::external::{
    AcmeConfiguration, AppConnection, ChallengeKind, ConnectionApp, DigicertConfiguration, DnsProviderKind, DnsZone,
    ExternalCa, ExternalCaKind, ExternalConfiguration, VaultConfiguration,
};
use chancery_model::identity::ActorId;
use chancery_model::order::{ExternalOrder, OrderPhase, OrderPlan, PublishedChallenge};
use chancery_model::profile::ProfileIssuer;
use chancery_model::time::Ttl;
use chancery_model::{RequestId, Timestamp};
use chancery_store::{CaSummary, Change, Conflict, ExternalChange as E, ProfileFilter};
use serde_json::json;

use crate::world::{DAY, NOW, World, page};

pub fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

pub const fn change(change: E) -> Change {
    Change::External(change)
}

fn connection(world: &World, name: &str) -> AppConnection {
    AppConnection {
        id: world.id(),
        project_id: world.project.id,
        name: name.to_owned(),
        description: Some("Zone of the shop".to_owned()),
        app: ConnectionApp::Rfc2136,
        method: "tsig".to_owned(),
        settings: [("keyName".to_owned(), "chancery.".to_owned())].into(),
        sealed: vec![0, 255, 1],
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn external(world: &World, name: &str, configuration: ExternalConfiguration) -> ExternalCa {
    ExternalCa {
        id: world.id(),
        project_id: world.project.id,
        name: name.to_owned(),
        status: CaStatus::Active,
        configuration,
        standing: json!({"accountUrl": "https://acme.test/account/1"}),
        sealed: Some(vec![7, 0, 9]),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn acme(connection: &AppConnection) -> ExternalConfiguration {
    ExternalConfiguration::Acme(AcmeConfiguration {
        directory_url: "https://acme.test/directory".to_owned(),
        account_email: "ops@acme.test".to_owned(),
        eab_kid: None,
        challenges: vec![ChallengeKind::Dns01, ChallengeKind::Http01],
        zones: vec![DnsZone {
            zone: "acme.com".to_owned(),
            provider: DnsProviderKind::Rfc2136,
            connection_id: connection.id,
            hosted_zone_id: "acme.com".to_owned(),
        }],
        dns_resolvers: vec![],
        propagation_timeout: Ttl::DAY,
        preferred_chain: None,
        certificate_profile: Some("shortlived".to_owned()),
    })
}

fn digicert(world: &World) -> ExternalConfiguration {
    ExternalConfiguration::Digicert(DigicertConfiguration {
        connection_id: world.id(),
        organization_id: 42,
        product_name_id: "ssl_plus".to_owned(),
        dcv_method: None,
    })
}

pub fn vault(world: &World) -> ExternalConfiguration {
    ExternalConfiguration::Vault(VaultConfiguration {
        connection_id: world.id(),
        mount: "pki".to_owned(),
        role: "web".to_owned(),
        issuer_ref: None,
    })
}

pub fn order(world: &World, ca: &ExternalCa, request: RequestId) -> ExternalOrder {
    ExternalOrder {
        request_id: request,
        project_id: world.project.id,
        ca_id: ca.id,
        phase: OrderPhase::Ordering,
        renews: None,
        key_id: None,
        csr: vec![0x30, 0x82, 0],
        plan: OrderPlan {
            profile_id: world.id(),
            template_id: world.id(),
            template_version: 3,
            application_id: None,
            requester: ActorId::Identity(world.id()),
            ttl: 90 * DAY,
            validity_max: Some(365 * DAY),
            is_ca: false,
            by_itself: true,
            from_csr: true,
            external_configs: Some(json!({"organizationId": 7})),
        },
        state: json!(null),
        reference: None,
        quarantined: None,
        give_up_at: at(2 * DAY),
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn insert_ca(ca: &ExternalCa) -> Change {
    change(E::InsertCa(Box::new(ca.clone())))
}

pub fn insert_order(order: &ExternalOrder) -> Change {
    change(E::InsertOrder(Box::new(order.clone())))
}

pub fn advance(request_id: RequestId, reference: Option<&str>, challenges: Option<Vec<PublishedChallenge>>) -> Change {
    let (state, reference) = (json!({"step": 2}), reference.map(str::to_owned));
    change(E::AdvanceOrder { request_id, state, reference, challenges, at: at(5) })
}

pub fn end(request_id: RequestId, quarantined: Option<Vec<u8>>) -> Change {
    change(E::EndOrder { request_id, quarantined, at: at(6) })
}

pub fn tidy(request_id: RequestId, done: bool) -> Change {
    change(E::TidyOrder { request_id, state: json!({"left": u8::from(!done)}), done, at: at(7) })
}

/// A CA with one order of it under way.
pub async fn ordered(world: &World) -> (ExternalCa, ExternalOrder) {
    let ca = external(world, "public", vault(world));
    let order = order(world, &ca, world.id());
    world.commit([insert_ca(&ca), insert_order(&order)]).await.unwrap();
    (ca, order)
}

pub async fn stored(world: &World, request: RequestId) -> ExternalOrder {
    world.reader().order(world.project.id, request).await.unwrap().unwrap()
}

pub async fn external_cas_read_back_and_are_not_mistaken_for_internal_ones(world: &mut World) {
    let (reader, project) = (world.reader(), world.project.id);
    let zone = connection(world, "zone");
    let mut public = external(world, "public", acme(&zone));
    let mut corporate = external(world, "corporate", digicert(world));
    (corporate.id, corporate.created_at, corporate.sealed) = (world.id_at(at(1)), at(1), None);
    corporate.standing = json!(null);
    let internal = world.ca("internal");
    world
        .commit([insert_ca(&corporate), insert_ca(&public), Change::InsertCa(Box::new(internal.clone()))])
        .await
        .unwrap();
    assert!(reader.external_ca(project, public.id).await.unwrap() == Some(public.clone()));
    assert!(reader.external_cas(project).await.unwrap() == [public.clone(), corporate.clone()], "oldest first");

    assert_eq!(reader.cas(project).await, Ok(vec![internal.clone()]));
    assert_eq!(reader.ca(project, public.id).await, Ok(None));
    assert_eq!(reader.ca_by_name(project, "public").await, Ok(None));
    assert!(reader.external_ca(project, internal.id).await.unwrap().is_none());
    let mut as_internal = internal.clone();
    as_internal.id = public.id;
    assert_eq!(world.refused([Change::UpdateCa(Box::new(as_internal))]).await, Some(Conflict::Missing));
    for (id, name, status, kind) in [
        (public.id, "public", CaStatus::Active, Some(ExternalCaKind::Acme)),
        (corporate.id, "corporate", CaStatus::Active, Some(ExternalCaKind::Digicert)),
        (internal.id, "internal", CaStatus::PendingCertificate, None),
    ] {
        let summary = CaSummary { id, name: name.to_owned(), status, kind };
        assert_eq!(reader.ca_summary(project, id).await, Ok(Some(summary)));
    }

    public.name = "letsencrypt".to_owned();
    public.status = CaStatus::Disabled;
    public.configuration = acme(&connection(world, "another"));
    (public.standing, public.sealed) = (json!({"accountUrl": "https://acme.test/account/2"}), Some(vec![1]));
    public.updated_at = at(9);
    let update =
        |ca: &ExternalCa, expected| change(E::UpdateCa { ca: Box::new(ca.clone()), expected_updated_at: expected });
    world.commit([update(&public, NOW)]).await.unwrap();
    assert!(reader.external_ca(project, public.id).await.unwrap() == Some(public.clone()));
    assert_eq!(world.refused([update(&public, NOW)]).await, Some(Conflict::Stale));
    let of_another_kind = ExternalCa { configuration: vault(world), ..public.clone() };
    assert_eq!(world.refused([update(&of_another_kind, at(9))]).await, Some(Conflict::Stale));
    let unknown = ExternalCa { id: world.id(), ..public.clone() };
    assert_eq!(world.refused([update(&unknown, at(9))]).await, Some(Conflict::Missing));
    let not_external = ExternalCa { id: internal.id, ..public.clone() };
    assert_eq!(world.refused([update(&not_external, NOW)]).await, Some(Conflict::Missing));

    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    assert!(reader.external_ca(other.id, public.id).await.unwrap().is_none());
    assert!(reader.external_cas(other.id).await.unwrap().is_empty());
    assert_eq!(reader.ca_summary(other.id, public.id).await, Ok(None));
}

pub async fn a_name_is_one_cas_internal_or_external(world: &mut World) {
    let (internal, public) = (world.ca("internal"), external(world, "public", vault(world)));
    world.commit([Change::InsertCa(Box::new(internal)), insert_ca(&public)]).await.unwrap();
    let twin = external(world, "internal", digicert(world));
    assert_eq!(world.refused([insert_ca(&twin)]).await, Some(Conflict::Name));
    assert_eq!(world.refused([Change::InsertCa(Box::new(world.ca("public")))]).await, Some(Conflict::Name));
    let renamed = ExternalCa { name: "internal".to_owned(), ..public.clone() };
    let rename = change(E::UpdateCa { ca: Box::new(renamed), expected_updated_at: NOW });
    assert_eq!(world.refused([rename]).await, Some(Conflict::Name));
    let again = ExternalCa { name: "again".to_owned(), ..public };
    assert_eq!(world.refused([insert_ca(&again)]).await, Some(Conflict::Exists));
}

pub async fn an_external_ca_is_kept_while_a_profile_or_an_order_needs_it(world: &mut World) {
    let (ca, order) = ordered(world).await;
    let delete = Change::DeleteCa(ca.id);
    let template = world.template("servers");
    let profile = world.profile("web", &template, ProfileIssuer::Ca(ca.id));
    world
        .commit([Change::InsertTemplate(Box::new(template)), Change::InsertProfile(Box::new(profile.clone()))])
        .await
        .unwrap();
    let filter = ProfileFilter { ca_id: Some(ca.id), ..ProfileFilter::default() };
    let of_ca = world.reader().profiles(world.project.id, &filter, &page(10)).await.unwrap();
    assert_eq!(of_ca.items, std::slice::from_ref(&profile));
    world.commit([end(order.request_id, None), tidy(order.request_id, true)]).await.unwrap();
    assert_eq!(world.refused([delete.clone()]).await, Some(Conflict::InUse), "a profile names it");
    let second = ExternalOrder { request_id: world.id(), ..order.clone() };
    world.commit([Change::DeleteProfile(profile.id), insert_order(&second)]).await.unwrap();
    assert_eq!(world.refused([delete.clone()]).await, Some(Conflict::InUse), "an order is under way");
    assert_eq!(world.reader().open_orders(ca.id).await, Ok(1));
    world.commit([end(second.request_id, None)]).await.unwrap();
    assert_eq!(world.refused([delete.clone()]).await, Some(Conflict::InUse), "an order is being tidied");
    assert_eq!(world.reader().open_orders(ca.id).await, Ok(1));
    world.commit([tidy(second.request_id, true)]).await.unwrap();
    assert_eq!(world.reader().open_orders(ca.id).await, Ok(0));
    assert!(world.reader().external_ca(world.project.id, ca.id).await.unwrap() == Some(ca.clone()));
    world.commit([delete.clone()]).await.unwrap();
    assert!(world.reader().external_ca(world.project.id, ca.id).await.unwrap().is_none());
    assert_eq!(stored(world, second.request_id).await.phase, OrderPhase::Done, "what was done is still known");
    assert_eq!(world.refused([delete]).await, Some(Conflict::Missing));
}

pub async fn connections_read_back_and_are_kept_while_a_ca_names_them(world: &mut World) {
    let (reader, project) = (world.reader(), world.project.id);
    let (mut zone, other) = (connection(world, "zone"), connection(world, "account"));
    let put = |it: &AppConnection| change(E::InsertConnection(Box::new(it.clone())));
    let update = |it: &AppConnection| change(E::UpdateConnection(Box::new(it.clone())));
    let delete = |it: &AppConnection| change(E::DeleteConnection(it.id));
    world.commit([put(&zone), put(&other)]).await.unwrap();
    assert!(reader.connection(project, zone.id).await.unwrap() == Some(zone.clone()));
    assert!(reader.connection_by_name(project, "zone").await.unwrap() == Some(zone.clone()));
    assert!(reader.connections(project).await.unwrap() == [other.clone(), zone.clone()], "by name");
    assert_eq!(world.refused([put(&connection(world, "zone"))]).await, Some(Conflict::Name));
    assert_eq!(
        world.refused([put(&AppConnection { name: "new".to_owned(), ..zone.clone() })]).await,
        Some(Conflict::Exists)
    );

    (zone.name, zone.description, zone.method) = ("dns".to_owned(), None, "plain".to_owned());
    (zone.settings, zone.sealed, zone.updated_at) = ([].into(), vec![5], at(3));
    world.commit([update(&zone)]).await.unwrap();
    assert!(reader.connection(project, zone.id).await.unwrap() == Some(zone.clone()));
    assert_eq!(
        world.refused([update(&AppConnection { name: "account".to_owned(), ..zone.clone() })]).await,
        Some(Conflict::Name)
    );
    assert_eq!(world.refused([update(&connection(world, "unknown"))]).await, Some(Conflict::Missing));

    let ca = external(world, "public", acme(&zone));
    world.commit([insert_ca(&ca)]).await.unwrap();
    assert_eq!(world.refused([delete(&zone)]).await, Some(Conflict::InUse));
    // What an order has set outside by a connection is removed by it, whatever the CA has been given since.
    let mut open = order(world, &ca, world.id());
    open.state = json!({ "record": { "connection_id": other.id } });
    let tidied =
        |done| change(E::TidyOrder { request_id: open.request_id, state: open.state.clone(), done, at: at(4) });
    world.commit([insert_order(&open)]).await.unwrap();
    assert_eq!(world.refused([delete(&other)]).await, Some(Conflict::InUse));
    let end = change(E::EndOrder { request_id: open.request_id, quarantined: None, at: at(4) });
    world.commit([end, tidied(false)]).await.unwrap();
    assert_eq!(world.refused([delete(&other)]).await, Some(Conflict::InUse));
    world.commit([tidied(true)]).await.unwrap();
    world.commit([delete(&other)]).await.unwrap();
    world.commit([Change::DeleteCa(ca.id), delete(&zone)]).await.unwrap();
    assert!(reader.connections(project).await.unwrap().is_empty());
    assert_eq!(world.refused([delete(&zone)]).await, Some(Conflict::Missing));

    let elsewhere = world.other_project("elsewhere");
    let mut foreign = connection(world, "dns");
    foreign.project_id = elsewhere.id;
    world.commit([Change::InsertProject(elsewhere.clone()), put(&foreign)]).await.unwrap();
    assert!(reader.connection(project, foreign.id).await.unwrap().is_none());
    assert!(reader.connection_by_name(project, "dns").await.unwrap().is_none());
}

pub async fn other_nodes_learn_of_external_cas_and_connections_but_not_of_orders(world: &mut World) {
    let zone = connection(world, "zone");
    let ca = external(world, "public", acme(&zone));
    let order = order(world, &ca, world.id());
    let configures = [
        change(E::InsertConnection(Box::new(zone.clone()))),
        change(E::UpdateConnection(Box::new(zone.clone()))),
        insert_ca(&ca),
        change(E::UpdateCa { ca: Box::new(ca.clone()), expected_updated_at: NOW }),
        Change::DeleteCa(ca.id),
        change(E::DeleteConnection(zone.id)),
    ];
    let quiet = [
        insert_order(&order),
        advance(order.request_id, None, None),
        end(order.request_id, None),
        tidy(order.request_id, true),
        change(E::DropKey(world.id())),
    ];
    let version = async || world.reader().config_version().await.unwrap();
    for (expected, changes) in [(true, configures.to_vec()), (false, quiet.to_vec())] {
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(change.is_configuration(), expected, "{index}");
            let before = version().await;
            world.commit([change]).await.unwrap();
            assert_eq!(version().await > before, expected, "{index}");
        }
    }
}
