//! People: second factors, links that sign in once, and sessions in browsers.

use chancery_model::application::{Application, ApplicationMember};
use chancery_model::identity::{AccessToken, ActorId, BrowserSession, SealedTotp, SignInLinkRecord, User};
use chancery_model::permission::Role;
use chancery_model::{SignInLinkId, UserId};
use chancery_store::{ApplicationChange, Change, Conflict, UserChange};

use crate::external::at;
use crate::world::{NOW, World};

async fn person(world: &World, email: &str) -> User {
    let user = world.user(email);
    world.commit([Change::InsertUser(user.clone())]).await.unwrap();
    user
}

fn link(world: &World, user: UserId) -> SignInLinkRecord {
    SignInLinkRecord { id: world.id(), user_id: user, hash: world.hash(), expires_at: at(60), created_at: NOW }
}

fn browser_token(world: &World, user: UserId) -> AccessToken {
    AccessToken {
        id: world.id(),
        actor: ActorId::User(user),
        project_id: world.project.id,
        hash: world.hash(),
        expires_at: at(60),
        expires_at_max: at(600),
        ttl: 60,
        revoked_at: None,
        browser: Some(BrowserSession {
            ip: "2001:db8::7".parse().unwrap(),
            user_agent: "Firefox <b>'\"\u{fc}".to_owned(),
            last_used_at: NOW,
            confirmed_at: at(-5),
        }),
        created_at: NOW,
    }
}

fn changed(change: UserChange) -> [Change; 1] {
    [Change::User(change)]
}

pub async fn a_change_of_a_person_writes_its_own_columns_and_no_others(world: &mut World) {
    let mut user = person(world, "a@acme.com").await;
    let other = person(world, "b@acme.com").await;
    let id = user.id;
    world.commit(changed(UserChange::SetRole { id, role: Role::Auditor, at: at(1) })).await.unwrap();
    (user.role, user.updated_at) = (Role::Auditor, at(1));
    assert_eq!(world.reader().user(id).await, Ok(Some(user.clone())));
    let until = Some(at(90));
    world
        .commit(changed(UserChange::SetLockout { id, failed_logins: 7, locked_until: until, at: at(2) }))
        .await
        .unwrap();
    (user.failed_logins, user.locked_until, user.updated_at) = (7, until, at(2));
    assert_eq!(world.reader().user(id).await, Ok(Some(user.clone())));
    let password_hash = "$argon2id$new".to_owned();
    let change = UserChange::SetPassword { id, password_hash: password_hash.clone(), expected: None, at: at(3) };
    world.commit(changed(change)).await.unwrap();
    user = User { password_hash, failed_logins: 0, locked_until: None, updated_at: at(3), ..user };
    assert_eq!(world.reader().user(id).await, Ok(Some(user)));
    assert_eq!(world.reader().user(other.id).await, Ok(Some(other)));
    let nobody = UserChange::SetRole { id: world.id(), role: Role::Admin, at: NOW };
    assert_eq!(world.refused(changed(nobody)).await, Some(Conflict::Missing));
}

pub async fn a_second_factor_reads_back_and_each_step_is_used_once(world: &mut World) {
    let user = person(world, "a@acme.com").await;
    let id = user.id;
    let step = |step| changed(UserChange::UseTotpStep { id, step });
    assert_eq!(world.refused(step(1)).await, Some(Conflict::Stale), "no factor, no code");
    let totp = SealedTotp { sealed: vec![0, 255, 7], last_step: 40, is_confirmed: true };
    world.commit(changed(UserChange::SetTotp { id, totp: Some(totp.clone()), at: at(1) })).await.unwrap();
    let found = world.reader().user(id).await.unwrap().unwrap();
    assert_eq!((found.totp.clone(), found.updated_at), (Some(totp.clone()), at(1)));
    assert!(found.has_second_factor());
    let begun_elsewhere = SealedTotp { sealed: vec![1], last_step: 0, is_confirmed: false };
    let over = UserChange::SetTotp { id, totp: Some(begun_elsewhere), at: at(2) };
    assert_eq!(world.refused(changed(over)).await, Some(Conflict::Stale), "one in force is not written over");
    world.commit(step(41)).await.unwrap();
    for used in [41, 40, 0] {
        assert_eq!(world.refused(step(used)).await, Some(Conflict::Stale), "{used}");
    }
    let (one, other) = tokio::join!(world.commit(step(50)), world.commit(step(50)));
    assert_eq!([one, other].iter().filter(|it| it.is_ok()).count(), 1, "of two at once one uses it");
    world.commit(changed(UserChange::SetTotp { id, totp: None, at: at(2) })).await.unwrap();
    assert_eq!(world.reader().user(id).await, Ok(Some(User { updated_at: at(2), ..user })));
    let born = User { totp: Some(SealedTotp { is_confirmed: false, ..totp }), ..world.user("c@acme.com") };
    world.commit([Change::InsertUser(born.clone())]).await.unwrap();
    assert!(!born.has_second_factor());
    assert_eq!(world.reader().user(born.id).await, Ok(Some(born)));
}

pub async fn a_password_is_set_in_place_of_the_expected_one(world: &mut World) {
    let user = person(world, "a@acme.com").await;
    let set = |new: &str, expected: Option<&str>| {
        changed(UserChange::SetPassword {
            id: user.id,
            password_hash: new.to_owned(),
            expected: expected.map(str::to_owned),
            at: NOW,
        })
    };
    world.commit(set("", None)).await.unwrap();
    let former = Some(user.password_hash.as_str());
    assert_eq!(world.refused(set("$argon2id$stolen", former)).await, Some(Conflict::Stale));
    world.commit(set("$argon2id$own", Some(""))).await.unwrap();
    assert_eq!(world.refused(set("$argon2id$second", Some(""))).await, Some(Conflict::Stale));
    assert_eq!(world.reader().user(user.id).await.unwrap().unwrap().password_hash, "$argon2id$own");
}

pub async fn a_link_is_used_once_also_by_two_at_once(world: &mut World) {
    let user = person(world, "a@acme.com").await;
    let link = link(world, user.id);
    assert_eq!(world.reader().sign_in_link(link.id).await, Ok(None));
    world.commit(changed(UserChange::SetLink(link.clone()))).await.unwrap();
    assert_eq!(world.reader().sign_in_link(link.id).await, Ok(Some(link.clone())));
    let uses = |id: SignInLinkId, seconds| changed(UserChange::UseLink { id, now: at(seconds) });
    assert_eq!(world.refused(uses(link.id, 60)).await, Some(Conflict::Missing), "at its end it is over");
    let mut used = Vec::new();
    for _ in 0..4 {
        let (one, other) = tokio::join!(world.commit(uses(link.id, 59)), world.commit(uses(link.id, 59)));
        used.extend([one, other]);
    }
    assert_eq!(used.iter().filter(|it| it.is_ok()).count(), 1, "{used:?}");
    assert_eq!(world.reader().sign_in_link(link.id).await, Ok(None));
}

pub async fn a_newer_link_takes_the_place_of_the_older(world: &mut World) {
    let (user, other) = (person(world, "a@acme.com").await, person(world, "b@acme.com").await);
    let (first, second, theirs) = (link(world, user.id), link(world, user.id), link(world, other.id));
    for link in [&first, &theirs, &second] {
        world.commit(changed(UserChange::SetLink(link.clone()))).await.unwrap();
    }
    let alive = async |link: &SignInLinkRecord| world.reader().sign_in_link(link.id).await.unwrap().is_some();
    assert_eq!((alive(&first).await, alive(&second).await, alive(&theirs).await), (false, true, true));
    world.commit(changed(UserChange::DropLink(user.id))).await.unwrap();
    world.commit(changed(UserChange::DropLink(user.id))).await.unwrap();
    assert_eq!((alive(&second).await, alive(&theirs).await), (false, true));
    let nobodys = link(world, world.id());
    assert_eq!(world.refused(changed(UserChange::SetLink(nobodys))).await, Some(Conflict::Missing));
}

pub async fn sessions_in_browsers_read_back_and_are_used_and_ended(world: &mut World) {
    let (user, other) = (person(world, "a@acme.com").await, person(world, "b@acme.com").await);
    let actor = ActorId::User(user.id);
    let (one, two, theirs) =
        (browser_token(world, user.id), browser_token(world, user.id), browser_token(world, other.id));
    let program = AccessToken { browser: None, ..browser_token(world, user.id) };
    let tokens = [&one, &two, &theirs, &program];
    world.commit(tokens.map(|it| Change::InsertAccessToken(it.clone()))).await.unwrap();
    assert_eq!(world.reader().access_token(one.id).await, Ok(Some(one.clone())));
    let alive = async |seconds| {
        let found = world.reader().access_tokens_of(actor, at(seconds)).await.unwrap();
        let mut ids: Vec<_> = found.into_iter().map(|it| it.id).collect();
        ids.sort();
        ids
    };
    let mut all = vec![one.id, two.id, program.id];
    all.sort();
    assert_eq!(alive(0).await, all);
    let used = |id| [Change::UseAccessToken { id, expires_at: at(100), at: at(40) }];
    world.commit(used(one.id)).await.unwrap();
    let found = world.reader().access_token(one.id).await.unwrap().unwrap();
    assert_eq!((found.expires_at, found.browser.unwrap().last_used_at), (at(100), at(40)));
    assert_eq!(alive(60).await, [one.id], "the others have expired");
    assert_eq!(world.refused(used(program.id)).await, Some(Conflict::Stale), "not in a browser");
    assert_eq!(world.refused(used(world.id())).await, Some(Conflict::Missing));

    world.commit([Change::RevokeOtherTokensOf { actor, keep: two.id, at: at(1) }]).await.unwrap();
    assert_eq!(alive(0).await, [two.id]);
    assert_eq!(world.refused(used(one.id)).await, Some(Conflict::Stale), "what is over is not used");
    let theirs = world.reader().access_token(theirs.id).await.unwrap().unwrap();
    assert_eq!(theirs.revoked_at, None);
}

pub async fn a_deleted_person_leaves_nothing_that_signs_in(world: &mut World) {
    let (user, other) = (person(world, "a@acme.com").await, person(world, "b@acme.com").await);
    let actor = ActorId::User(user.id);
    let (token, link) = (browser_token(world, user.id), link(world, user.id));
    let theirs = browser_token(world, other.id);
    let application = Application {
        id: world.id(),
        project_id: world.project.id,
        name: "shop".to_owned(),
        description: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let member = ApplicationMember {
        id: world.id(),
        application_id: application.id,
        actor,
        role: Role::Operator,
        created_at: NOW,
        updated_at: NOW,
    };
    world
        .commit([
            Change::InsertAccessToken(token.clone()),
            Change::InsertAccessToken(theirs.clone()),
            Change::User(UserChange::SetLink(link.clone())),
            Change::Application(ApplicationChange::Insert(application)),
            Change::Application(ApplicationChange::InsertMember(member)),
        ])
        .await
        .unwrap();
    let before = world.reader().config_version().await.unwrap();
    world.commit(changed(UserChange::Delete(user.id))).await.unwrap();
    let reader = world.reader();
    assert!(reader.config_version().await.unwrap() > before, "other nodes learn of it");
    assert_eq!(reader.user(user.id).await, Ok(None));
    assert_eq!(reader.access_token(token.id).await, Ok(None));
    assert_eq!(reader.sign_in_link(link.id).await, Ok(None));
    assert_eq!(reader.memberships_of(actor).await, Ok(vec![]));
    assert!(reader.access_token(theirs.id).await.unwrap().is_some());
    assert_eq!(world.refused(changed(UserChange::Delete(user.id))).await, Some(Conflict::Missing));
}
