//! Applications with what belongs to them: profiles, members, certificates.

use chancery_model::application::{Application, ApplicationMember, ApplicationProfile};
use chancery_model::identity::ActorId;
use chancery_model::permission::Role;
use chancery_model::profile::{ApiEnrollment, ProfileIssuer, RenewAt};
use chancery_model::{ApplicationId, ProfileId};
use chancery_store::{ApplicationChange as A, ApplicationFilter, Change, Conflict, ProfileFilter};

use crate::world::{NOW, World, page};

fn application(world: &World, name: &str) -> Application {
    Application {
        id: world.id(),
        project_id: world.project.id,
        name: name.to_owned(),
        description: Some("Invoices and 'reminders'".to_owned()),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn attachment(application: ApplicationId, profile: ProfileId) -> ApplicationProfile {
    ApplicationProfile { application_id: application, profile_id: profile, api: None, created_at: NOW, updated_at: NOW }
}

fn member(world: &World, application: ApplicationId, actor: ActorId, role: Role) -> ApplicationMember {
    ApplicationMember { id: world.id(), application_id: application, actor, role, created_at: NOW, updated_at: NOW }
}

const fn change(change: A) -> Change {
    Change::Application(change)
}

pub async fn applications_read_back_and_their_names_are_unique(world: &mut World) {
    let reader = world.reader();
    let mut billing = application(world, "billing");
    world.commit([change(A::Insert(billing.clone()))]).await.unwrap();
    assert_eq!(reader.application(world.project.id, billing.id).await, Ok(Some(billing.clone())));
    let twin = world.refused([change(A::Insert(application(world, "billing")))]).await;
    assert_eq!(twin, Some(Conflict::Name));
    billing.name = "invoices".to_owned();
    billing.description = None;
    world.commit([change(A::Update(billing.clone()))]).await.unwrap();
    assert_eq!(reader.application_by_name(world.project.id, "invoices").await, Ok(Some(billing.clone())));
    assert_eq!(reader.application_by_name(world.project.id, "billing").await, Ok(None));
    let unknown = application(world, "unknown");
    assert_eq!(world.refused([change(A::Update(unknown.clone()))]).await, Some(Conflict::Missing));
    assert_eq!(world.refused([change(A::Delete(unknown.id))]).await, Some(Conflict::Missing));

    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    assert_eq!(reader.application(other.id, billing.id).await, Ok(None));
    assert_eq!(reader.application_by_name(other.id, "invoices").await, Ok(None));
    let mut same_name = application(world, "invoices");
    same_name.project_id = other.id;
    world.commit([change(A::Insert(same_name))]).await.unwrap();
    let own = reader.applications(world.project.id, &ApplicationFilter::default(), &page(10)).await.unwrap();
    assert_eq!(own.items.iter().map(|it| it.application.id).collect::<Vec<_>>(), [billing.id]);
}

pub async fn profiles_are_attached_configured_and_detached(world: &mut World) {
    let reader = world.reader();
    let (billing, mut shop) = (application(world, "billing"), application(world, "shop"));
    shop.id = world.id_at(NOW.plus_seconds(1));
    let template = world.template("servers");
    let web = world.profile("web", &template, ProfileIssuer::SelfSigned);
    let mail = world.profile("mail", &template, ProfileIssuer::SelfSigned);
    world.commit([change(A::Insert(billing.clone())), change(A::Insert(shop.clone()))]).await.unwrap();
    let unknown = world.refused([change(A::Attach(attachment(billing.id, web.id)))]).await;
    assert_eq!(unknown, Some(Conflict::Missing), "a profile that is not there");
    world
        .commit([
            Change::InsertTemplate(Box::new(template)),
            Change::InsertProfile(Box::new(web.clone())),
            Change::InsertProfile(Box::new(mail.clone())),
            change(A::Attach(attachment(billing.id, web.id))),
            change(A::Attach(attachment(billing.id, mail.id))),
            change(A::Attach(attachment(shop.id, web.id))),
        ])
        .await
        .unwrap();
    let api = ApiEnrollment {
        id: world.id(),
        auto_renew: true,
        renew_before_days: Some(7),
        renew_at: RenewAt::Permille(500),
        renew_jitter: None,
        revoke_superseded_after: None,
    };
    let at = NOW.plus_seconds(60);
    let set = |api| change(A::SetApi { application: billing.id, profile: web.id, api, at });
    world.commit([set(Some(api.clone()))]).await.unwrap();
    // Attaching again changes nothing.
    world.commit([change(A::Attach(attachment(billing.id, web.id)))]).await.unwrap();
    let configured = ApplicationProfile { api: Some(api), updated_at: at, ..attachment(billing.id, web.id) };
    assert_eq!(reader.application_profile(billing.id, web.id).await, Ok(Some(configured.clone())));
    let of_web = reader.applications_of_profile(web.id).await.unwrap();
    assert_eq!(of_web, [configured, attachment(shop.id, web.id)]);
    let of_billing = reader.profiles_of_application(billing.id).await.unwrap();
    assert_eq!(of_billing.iter().map(|it| it.slug.as_str()).collect::<Vec<_>>(), ["mail", "web"]);
    let filter = ProfileFilter { application_id: Some(shop.id), ..ProfileFilter::default() };
    let found = reader.profiles(world.project.id, &filter, &page(10)).await.unwrap();
    assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), [web.id]);

    world.commit([set(None)]).await.unwrap();
    assert_eq!(reader.application_profile(billing.id, web.id).await.unwrap().unwrap().api, None);
    let detach = || change(A::Detach { application: billing.id, profile: web.id });
    world.commit([detach()]).await.unwrap();
    assert_eq!(reader.application_profile(billing.id, web.id).await, Ok(None));
    assert_eq!(world.refused([detach()]).await, Some(Conflict::Missing));
    assert_eq!(world.refused([set(None)]).await, Some(Conflict::Missing));
    world.commit([Change::DeleteProfile(mail.id)]).await.unwrap();
    assert_eq!(reader.profiles_of_application(billing.id).await, Ok(vec![]), "a deleted profile is attached nowhere");
}

pub async fn members_come_and_go_with_applications_and_identities(world: &mut World) {
    let reader = world.reader();
    let (billing, shop) = (application(world, "billing"), application(world, "shop"));
    let (user, identity) = (world.user("a@acme.com"), world.identity("agent"));
    let (person, program) = (ActorId::User(user.id), ActorId::Identity(identity.id));
    world
        .commit([
            change(A::Insert(billing.clone())),
            change(A::Insert(shop.clone())),
            Change::InsertUser(user.clone()),
            Change::InsertIdentity(identity.clone()),
        ])
        .await
        .unwrap();
    let of_person = member(world, billing.id, person, Role::Admin);
    let mut of_program = member(world, billing.id, program, Role::Operator);
    of_program.created_at = NOW.plus_seconds(1);
    let elsewhere = member(world, shop.id, program, Role::Auditor);
    for it in [&of_person, &of_program, &elsewhere] {
        world.commit([change(A::InsertMember(it.clone()))]).await.unwrap();
    }
    let twice = member(world, billing.id, program, Role::Admin);
    assert_eq!(world.refused([change(A::InsertMember(twice))]).await, Some(Conflict::Exists));
    let nowhere = member(world, world.id(), program, Role::Admin);
    assert_eq!(world.refused([change(A::InsertMember(nowhere))]).await, Some(Conflict::Missing));
    let members = reader.members_of_application(billing.id).await.unwrap();
    assert_eq!(members.iter().map(|it| &it.member).collect::<Vec<_>>(), [&of_person, &of_program]);
    assert_eq!((members[0].email.as_deref(), members[0].name.as_deref()), (Some("a@acme.com"), None));
    assert_eq!((members[1].email.as_deref(), members[1].name.as_deref()), (None, Some("agent")));
    assert_eq!(reader.memberships_of(ActorId::System).await, Ok(vec![]));

    world.commit([change(A::SetRole { member: of_program.id, role: Role::Admin, at: NOW })]).await.unwrap();
    let mut roles = reader.memberships_of(program).await.unwrap();
    roles.sort_by_key(|(id, _)| *id);
    assert_eq!(roles, [(billing.id, Role::Admin), (shop.id, Role::Auditor)]);
    let found = reader.application_member(billing.id, program).await.unwrap().unwrap();
    assert_eq!(found.member.role, Role::Admin);
    world.commit([change(A::DeleteMember(of_person.id))]).await.unwrap();
    assert_eq!(reader.application_member(billing.id, person).await, Ok(None));
    assert_eq!(world.refused([change(A::DeleteMember(of_person.id))]).await, Some(Conflict::Missing));
    let gone = change(A::SetRole { member: of_person.id, role: Role::Admin, at: NOW });
    assert_eq!(world.refused([gone]).await, Some(Conflict::Missing));

    world.commit([change(A::Delete(shop.id))]).await.unwrap();
    assert_eq!(reader.memberships_of(program).await, Ok(vec![(billing.id, Role::Admin)]));
    world.commit([Change::DeleteIdentity(identity.id)]).await.unwrap();
    assert_eq!(reader.memberships_of(program).await, Ok(vec![]));
}

pub async fn applications_are_listed_with_their_numbers(world: &mut World) {
    let reader = world.reader();
    let (billing, shop) = (application(world, "billing"), application(world, "shop"));
    let template = world.template("servers");
    let web = world.profile("web", &template, ProfileIssuer::SelfSigned);
    let mut certificate = world.certificate("a.acme.com", &[]);
    certificate.application_id = Some(billing.id);
    let loose = world.certificate("b.acme.com", &[]);
    world
        .commit([
            change(A::Insert(billing.clone())),
            change(A::Insert(shop.clone())),
            Change::InsertTemplate(Box::new(template)),
            Change::InsertProfile(Box::new(web.clone())),
            change(A::Attach(attachment(billing.id, web.id))),
            change(A::InsertMember(member(world, billing.id, ActorId::User(world.id()), Role::Operator))),
            Change::InsertCertificate(Box::new(certificate.clone())),
            Change::InsertCertificate(Box::new(loose.clone())),
        ])
        .await
        .unwrap();
    let numbers = async |id: ApplicationId| {
        let filter = ApplicationFilter { ids: Some(vec![id]), ..ApplicationFilter::default() };
        let found = reader.applications(world.project.id, &filter, &page(10)).await.unwrap();
        assert_eq!(found.items.len(), 1);
        (found.items[0].profiles, found.items[0].members, found.items[0].certificates)
    };
    assert_eq!(numbers(billing.id).await, (1, 1, 1));
    assert_eq!(numbers(shop.id).await, (0, 0, 0));

    let at = NOW.plus_seconds(5);
    let assign = |application| change(A::Assign { certificate: loose.id, application, at });
    world.commit([assign(billing.id)]).await.unwrap();
    assert_eq!(numbers(billing.id).await, (1, 1, 2));
    assert_eq!(world.refused([assign(shop.id)]).await, Some(Conflict::Stale), "a certificate does not move");
    assert_eq!(numbers(shop.id).await, (0, 0, 0));
    let assigned = reader.certificate(world.project.id, loose.id).await.unwrap().unwrap();
    assert_eq!((assigned.application_id, assigned.updated_at), (Some(billing.id), at));
    let unknown = change(A::Assign { certificate: world.id(), application: billing.id, at });
    assert_eq!(world.refused([unknown]).await, Some(Conflict::Missing));
    world.commit([Change::DeleteCertificate(certificate.id)]).await.unwrap();
    assert_eq!(numbers(billing.id).await, (1, 1, 1));

    let search = ApplicationFilter { search: Some("SHO".to_owned()), ids: None };
    let found = reader.applications(world.project.id, &search, &page(10)).await.unwrap();
    assert_eq!(found.items.iter().map(|it| it.application.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    let none = ApplicationFilter { ids: Some(vec![]), ..ApplicationFilter::default() };
    assert!(reader.applications(world.project.id, &none, &page(10)).await.unwrap().items.is_empty());

    world.commit([change(A::Delete(billing.id))]).await.unwrap();
    let kept = reader.certificate(world.project.id, loose.id).await.unwrap().unwrap();
    assert_eq!(kept.application_id, Some(billing.id), "certificates remember the application");
}
