//! People: sign-in with a browser, the second factor, links that sign in once, and what ends a session.
//!
//! ```text
//! default project ── administrator (person) ── people under test
//! other project   ── its own administrator (identity)
//! ```
//!
//! Verified here: a session in a browser ends by the clock, idle and in any case, on another network, and the moment
//! anything of its account changes; a code counts once and a wrong one counts towards the lock; a link counts once; the
//! last administrator stays.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;

use chancery_authority::access::{NewUser, SessionToken, UniversalAuthSettings, Visitor};
use chancery_authority::{Call, Error};
use chancery_keys::TotpSecret;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::User;
use chancery_model::permission::Role;
use chancery_model::{AccessTokenId, ErrorKind, UserId};

use crate::access::{
    ABROAD, EMAIL, HOME, PASSWORD, World, assert_code, assert_token_refused, details, open, other_project,
};

const NEW_PASSWORD: &str = "battery staple horse";
const MINUTE: i64 = 60;
const AT_HOME: Visitor<'static> = Visitor { ip: HOME, user_agent: "Firefox", request_id: "r-web" };

impl World {
    async fn sign_in(&self, email: &str, password: &str, otp: Option<&str>) -> Result<SessionToken, Error> {
        self.authority.sign_in(email, password, otp, &AT_HOME).await
    }

    /// A person who was invited and has chosen [`PASSWORD`], and their session in a browser.
    async fn person(&self, admin: &Call, email: &str, role: Role) -> (User, String) {
        let new = NewUser { email: email.to_owned(), role };
        let (user, link) = self.authority.create_user(admin, new).await.unwrap();
        let token = self.authority.redeem_sign_in_link(&link, Some(PASSWORD), &AT_HOME).await.unwrap();
        (user, token.access_token.to_string())
    }

    /// Sets the second factor up for the caller.
    async fn enable_totp(&self, call: &Call) -> TotpSecret {
        let setup = self.authority.begin_totp(call).await.unwrap();
        let secret = TotpSecret::from_base32(&setup.secret_base32).unwrap();
        self.authority.confirm_totp(call, &self.code(&secret)).await.unwrap();
        secret
    }

    fn code(&self, secret: &TotpSecret) -> String {
        secret.code_at(self.authority.now().as_seconds()).unwrap()
    }

    async fn is_alive(&self, token: &str) -> bool {
        self.authority.authenticate(token, HOME).await.is_ok()
    }

    /// As a page does for every call.
    async fn visit(&self, token: &str) -> Result<(), Error> {
        let requester = self.authority.authenticate(token, HOME).await?;
        self.authority.prolong_session(&requester).await
    }
}

fn id_of(call: &Call) -> AccessTokenId {
    call.requester.token_id().unwrap()
}

#[tokio::test]
async fn a_session_in_a_browser_ends_half_an_hour_after_its_last_use() {
    let (world, _) = World::administered().await;
    let token = world.sign_in(EMAIL, PASSWORD, None).await.unwrap();
    assert_eq!((token.expires_in, token.max_ttl), (30 * MINUTE, 12 * 60 * MINUTE));
    let token = token.access_token.as_str();
    world.clock.advance_seconds(29 * MINUTE);
    world.visit(token).await.unwrap();
    world.clock.advance_seconds(29 * MINUTE);
    assert!(world.is_alive(token).await, "it was used in between");
    world.clock.advance_seconds(MINUTE);
    assert_token_refused(world.authority.authenticate(token, HOME).await);
    assert_code(world.visit(token).await, "auth.token");
}

#[tokio::test]
async fn a_session_in_a_browser_ends_twelve_hours_after_its_beginning_however_it_is_used() {
    let (world, _) = World::administered().await;
    let token = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    for _ in 0..12 * 4 - 1 {
        world.clock.advance_seconds(15 * MINUTE);
        world.visit(&token).await.unwrap();
    }
    world.clock.advance_seconds(15 * MINUTE - 1);
    let confirmed = world.authority.confirm_session(&token, PASSWORD, None, &AT_HOME).await.unwrap();
    assert_eq!((confirmed.expires_in, confirmed.max_ttl), (1, 1), "to confirm does not prolong it");
    assert!(world.is_alive(&confirmed.access_token).await);
    world.clock.advance_seconds(1);
    assert_token_refused(world.authority.authenticate(&confirmed.access_token, HOME).await);
}

#[tokio::test]
async fn a_session_is_written_at_most_once_a_minute_and_a_programs_is_not_prolonged() {
    let (world, admin) = World::administered().await;
    let token = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    let writes = || world.authority.store_statistics().writes;
    let start = writes();
    for _ in 0..59 {
        world.clock.advance_seconds(1);
        world.visit(&token).await.unwrap();
    }
    assert_eq!(writes(), start);
    world.clock.advance_seconds(1);
    let requester = world.authority.authenticate(&token, HOME).await.unwrap();
    let prolong = || world.authority.prolong_session(&requester);
    let (one, two, three) = tokio::join!(prolong(), prolong(), prolong());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(writes(), start + 1);

    assert!(!admin.requester.is_browser() && admin.requester.confirmed_at().is_none());
    world.clock.advance_seconds(10 * MINUTE);
    world.authority.prolong_session(&admin.requester).await.unwrap();
    assert_eq!(writes(), start + 1);
}

#[tokio::test]
async fn a_session_is_of_no_use_on_another_network() {
    let (world, _) = World::administered().await;
    let from = |ip: &str| ip.parse::<IpAddr>().unwrap();
    for (home, near, far) in [
        ("10.0.0.7", &["10.0.0.200", "::ffff:10.0.0.9"][..], &["10.0.1.7", "192.0.2.9", "2001:db8::1"][..]),
        ("2001:db8:1::1", &["2001:db8:1:ffff::9"], &["2001:db8:2::1", "10.0.0.7", "::1"]),
        ("127.0.0.1", &["::1", "127.0.0.9"], &["10.0.0.7"]),
    ] {
        let visitor = Visitor { ip: from(home), ..AT_HOME };
        let token = world.authority.sign_in(EMAIL, PASSWORD, None, &visitor).await.unwrap().access_token;
        for ip in far {
            assert_token_refused(world.authority.authenticate(&token, from(ip)).await);
            let stranger = Visitor { ip: from(ip), ..AT_HOME };
            assert_code(world.authority.confirm_session(&token, PASSWORD, None, &stranger).await, "auth.token");
            assert_code(world.authority.revoke_token(&token, from(ip), "r").await, "auth.token");
        }
        for ip in near {
            assert!(world.authority.authenticate(&token, from(ip)).await.is_ok(), "{home} {ip}");
        }
    }
}

#[tokio::test]
async fn the_code_is_asked_for_after_the_password_only_and_counts_once() {
    let (world, admin) = World::administered().await;
    let secret = world.enable_totp(&admin).await;
    // The code that confirmed the set-up is used.
    assert_code(world.sign_in(EMAIL, PASSWORD, Some(&world.code(&secret))).await, "auth.required");
    world.clock.advance_seconds(30);
    for otp in [None, Some(""), Some("  ")] {
        let error = world.sign_in(EMAIL, PASSWORD, otp).await.err().unwrap();
        assert!(matches!(error, Error::OtpRequired) && error.kind() == ErrorKind::Unauthenticated);
        assert_eq!(error.code(), "auth.otp_required");
    }
    assert_code(world.sign_in(EMAIL, "wrong password", None).await, "auth.required");
    let code = world.code(&secret);
    let login = |otp| world.authority.login_user(EMAIL, PASSWORD, otp, HOME, "r");
    assert_code(login(None).await, "auth.otp_required");
    assert_code(world.sign_in(EMAIL, "wrong password", Some(&code)).await, "auth.required");
    world.sign_in(EMAIL, PASSWORD, Some(&code)).await.unwrap();
    assert_code(world.sign_in(EMAIL, PASSWORD, Some(&code)).await, "auth.required");
    assert_code(login(Some(&code)).await, "auth.required");
    world.clock.advance_seconds(30);
    login(Some(&world.code(&secret))).await.unwrap();
}

#[tokio::test]
async fn of_two_who_use_one_code_at_once_one_gets_in() {
    let (world, admin) = World::administered().await;
    let secret = world.enable_totp(&admin).await;
    world.clock.advance_seconds(30);
    let code = world.code(&secret);
    let enter = || world.sign_in(EMAIL, PASSWORD, Some(&code));
    let (one, two) = tokio::join!(enter(), enter());
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|it| **it).count(), 1);
}

#[tokio::test]
async fn wrong_codes_lock_the_account_as_wrong_passwords_do() {
    let (world, admin) = World::administered().await;
    let secret = world.enable_totp(&admin).await;
    world.clock.advance_seconds(30);
    for wrong in 0..5 {
        assert_code(world.sign_in(EMAIL, PASSWORD, Some(&format!("00000{wrong}"))).await, "auth.required");
        // To ask for the code is no way to have the count forgotten.
        let asked = world.sign_in(EMAIL, PASSWORD, None).await;
        assert_code(asked, if wrong < 4 { "auth.otp_required" } else { "auth.required" });
    }
    assert_code(world.sign_in(EMAIL, PASSWORD, Some(&world.code(&secret))).await, "auth.required");
    world.clock.advance_seconds(30);
    world.sign_in(EMAIL, PASSWORD, Some(&world.code(&secret))).await.unwrap();
}

#[tokio::test]
async fn a_second_factor_is_set_up_shown_once_and_removed_with_the_password() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    assert_code(it.confirm_totp(&admin, "123456").await, "totp.not_begun");
    let abandoned = it.begin_totp(&admin).await.unwrap();
    assert!(world.sign_in(EMAIL, PASSWORD, None).await.is_ok(), "what is not confirmed asks for nothing");
    let setup = it.begin_totp(&admin).await.unwrap();
    assert_ne!(setup.secret_base32, abandoned.secret_base32);
    assert!(setup.uri.starts_with("otpauth://totp/Chancery:admin%40example.com?secret="));
    let other = TotpSecret::from_base32(&abandoned.secret_base32).unwrap();
    assert_code(it.confirm_totp(&admin, &world.code(&other)).await, "totp.code");
    let secret = TotpSecret::from_base32(&setup.secret_base32).unwrap();
    it.confirm_totp(&admin, &world.code(&secret)).await.unwrap();
    assert_code(it.begin_totp(&admin).await.map(|_| ()), "totp.exists");
    assert_code(it.confirm_totp(&admin, &world.code(&secret)).await, "totp.exists");
    assert_code(it.remove_totp(&admin, "wrong password").await, "user.password_wrong");
    assert_code(world.sign_in(EMAIL, PASSWORD, None).await, "auth.otp_required");
    it.remove_totp(&admin, PASSWORD).await.unwrap();
    world.sign_in(EMAIL, PASSWORD, None).await.unwrap();
    for event in [AuditEvent::TotpEnabled, AuditEvent::TotpDisabled] {
        assert_eq!(world.entries(admin.project_id(), event).await.len(), 1, "{event:?}");
    }
    let text = world.export(&admin).await;
    assert!(!text.contains(setup.secret_base32.as_str()) && !text.contains(PASSWORD));
}

#[tokio::test]
async fn a_sealed_second_factor_does_not_open_for_another_person() {
    let (world, admin) = World::administered().await;
    world.enable_totp(&admin).await;
    let (person, token) = world.person(&admin, "b@example.com", Role::Operator).await;
    let theirs = world.enable_totp(&world.call(&token).await).await;
    let path = world.folder.path().join("chancery.db");
    world.authority.close().await;
    let connection = rusqlite::Connection::open(path).unwrap();
    let moved = "UPDATE users SET totp = (SELECT totp FROM users WHERE id = ?1), totp_last_step = 0 WHERE email = ?2";
    assert_eq!(connection.execute(moved, (person.id.as_bytes(), EMAIL)).unwrap(), 1);
    drop(connection);
    let authority = open(&world.folder, &world.clock, "node-1").await;
    world.clock.advance_seconds(30);
    let code = theirs.code_at(authority.now().as_seconds()).unwrap();
    assert_code(authority.sign_in(EMAIL, PASSWORD, Some(&code), &AT_HOME).await, "internal");
}

#[tokio::test]
async fn to_confirm_gives_a_new_token_and_the_old_one_is_dead() {
    let (world, admin) = World::administered().await;
    let old = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    let begun = world.call(&old).await.requester.confirmed_at().unwrap();
    assert_eq!(begun, world.authority.now());
    world.clock.advance_seconds(10 * MINUTE);
    let confirm = |token: String, password: &'static str| {
        let authority = world.authority.clone();
        async move { authority.confirm_session(&token, password, None, &AT_HOME).await }
    };
    assert_code(confirm(old.to_string(), "wrong password").await, "auth.required");
    assert!(world.is_alive(&old).await, "a wrong password ends nothing");
    let new = confirm(old.to_string(), PASSWORD).await.unwrap();
    assert_eq!((new.expires_in, new.max_ttl), (30 * MINUTE, (12 * 60 - 10) * MINUTE));
    assert_token_refused(world.authority.authenticate(&old, HOME).await);
    assert_code(confirm(old.to_string(), PASSWORD).await, "auth.token");
    let call = world.call(&new.access_token).await;
    assert_eq!(call.requester.confirmed_at(), Some(world.authority.now()));
    assert_eq!(world.entries(admin.project_id(), AuditEvent::SessionConfirmed).await.len(), 1);
    // The session of a program has nothing to confirm.
    let program = world.authority.login_user(EMAIL, PASSWORD, None, HOME, "r").await.unwrap().access_token;
    assert_code(confirm(program.to_string(), PASSWORD).await, "session.not_browser");

    let secret = world.enable_totp(&call).await;
    world.clock.advance_seconds(30);
    let with = |otp: Option<String>| {
        let (authority, token) = (world.authority.clone(), new.access_token.to_string());
        async move { authority.confirm_session(&token, PASSWORD, otp.as_deref(), &AT_HOME).await }
    };
    assert_code(with(None).await, "auth.otp_required");
    with(Some(world.code(&secret))).await.unwrap();
}

#[tokio::test]
async fn failures_to_confirm_lock_as_failures_to_sign_in_do() {
    let (world, _) = World::administered().await;
    let token = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    let call = world.call(&token).await;
    for _ in 0..2 {
        assert_code(world.authority.confirm_session(&token, "wrong", None, &AT_HOME).await, "auth.required");
    }
    for _ in 0..2 {
        let changed = world.authority.change_password(&call, "wrong password", NEW_PASSWORD).await;
        assert_code(changed, "user.password_wrong");
    }
    assert_code(world.authority.remove_totp(&call, "wrong password").await, "user.password_wrong");
    assert_code(world.sign_in(EMAIL, PASSWORD, None).await, "auth.required");
    assert_code(world.authority.confirm_session(&token, PASSWORD, None, &AT_HOME).await, "auth.required");
    assert_code(world.authority.change_password(&call, PASSWORD, NEW_PASSWORD).await, "rate_limited");
    assert!(world.is_alive(&token).await, "the session goes on");
    world.clock.advance_seconds(11);
    world.authority.confirm_session(&token, PASSWORD, None, &AT_HOME).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let (world, admin) = World::administered().await;
    let (one, two) = (
        world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token,
        world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token,
    );
    let link = world.authority.new_sign_in_link(EMAIL).await.unwrap().unwrap();
    let call = world.call(&one).await;
    assert!(world.is_alive(&two).await);
    let change = |current: &'static str, new: &'static str| {
        let (authority, call) = (world.authority.clone(), call.clone());
        async move { authority.change_password(&call, current, new).await }
    };
    assert_code(change(PASSWORD, "too short").await, "user.password");
    assert_code(change(PASSWORD, PASSWORD).await, "user.password_same");
    change(PASSWORD, NEW_PASSWORD).await.unwrap();
    assert!(world.is_alive(&one).await, "the one that did it goes on");
    assert_token_refused(world.authority.authenticate(&two, HOME).await);
    let program = admin.requester.token_id().unwrap();
    assert!(world.authority.reader().access_token(program).await.unwrap().unwrap().revoked_at.is_some());
    assert_code(world.authority.sign_in_link(&link).await, "auth.required");
    assert_code(world.sign_in(EMAIL, PASSWORD, None).await, "auth.required");
    world.sign_in(EMAIL, NEW_PASSWORD, None).await.unwrap();
}

#[tokio::test]
async fn whatever_an_administrator_does_to_an_account_ends_its_sessions_at_once() {
    let (world, admin) = World::administered().await;
    for way in ["role", "reset", "delete"] {
        let (user, token) = world.person(&admin, &format!("{way}@example.com"), Role::Operator).await;
        let program = world.authority.login_user(&user.email, PASSWORD, None, HOME, "r").await.unwrap().access_token;
        assert!(world.is_alive(&token).await && world.is_alive(&program).await);
        let requester = world.call(&token).await.requester;
        match way {
            "role" => drop(world.authority.set_user_role(&admin, user.id, Role::Auditor).await.unwrap()),
            "reset" => drop(world.authority.reset_user(&admin, user.id).await.unwrap()),
            _ => drop(world.authority.delete_user(&admin, user.id).await.unwrap()),
        }
        for token in [token.as_str(), program.as_str()] {
            assert_token_refused(world.authority.authenticate(token, HOME).await);
            assert_code(world.authority.renew_token(token, HOME, "r").await, "auth.token");
        }
        world.clock.advance_seconds(MINUTE);
        assert_code(world.authority.prolong_session(&requester).await, "auth.token");
        assert_token_refused(world.authority.authenticate(&token, HOME).await);
        let confirmed = world.authority.confirm_session(&token, PASSWORD, None, &AT_HOME).await;
        assert_code(confirmed, "auth.token");
        assert_eq!(world.sign_in(&user.email, PASSWORD, None).await.is_ok(), way == "role");
    }
    let again = world.sign_in("role@example.com", PASSWORD, None).await.unwrap().access_token;
    assert_eq!(world.call(&again).await.requester.role(), Role::Auditor);
}

#[tokio::test]
async fn an_invitation_sets_a_password_once() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let new = NewUser { email: " B@Example.com ".to_owned(), role: Role::Operator };
    let (user, link) = it.create_user(&admin, new.clone()).await.unwrap();
    assert_eq!((user.email.as_str(), user.project_id), ("b@example.com", admin.project_id()));
    assert_code(it.create_user(&admin, new).await, "user.exists");
    assert_code(world.sign_in("b@example.com", "", None).await, "auth.required");
    assert_eq!(it.new_sign_in_link("b@example.com").await.unwrap(), None, "the invitation stays the only way in");
    let shown = it.sign_in_link(&link).await.unwrap();
    assert_eq!((shown.email.as_str(), shown.needs_password), ("b@example.com", true));
    assert_eq!(shown.expires_at, it.now().plus_seconds(7 * 24 * 60 * MINUTE));
    for bad in [None, Some(""), Some("too short")] {
        assert_code(it.redeem_sign_in_link(&link, bad, &AT_HOME).await, "user.password");
    }
    let token = it.redeem_sign_in_link(&link, Some(PASSWORD), &AT_HOME).await.unwrap();
    assert_eq!((token.expires_in, token.max_ttl), (30 * MINUTE, 12 * 60 * MINUTE));
    let call = world.call(&token.access_token).await;
    assert!(call.requester.is_browser() && call.requester.role() == Role::Operator);
    assert_code(it.redeem_sign_in_link(&link, Some(NEW_PASSWORD), &AT_HOME).await, "auth.required");
    assert_code(it.sign_in_link(&link).await, "auth.required");
    world.sign_in("b@example.com", PASSWORD, None).await.unwrap();
    let used = world.entries(admin.project_id(), AuditEvent::SignInLinkUsed).await;
    assert_eq!((used.len(), used[0].actor_id), (1, Some(user.id.as_uuid())));
    assert!(!world.export(&admin).await.contains(link.as_str()));
}

#[tokio::test]
async fn every_fault_of_a_link_reads_the_same() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let link = async || it.new_sign_in_link(EMAIL).await.unwrap().unwrap().to_string();
    let replaced = link().await;
    let used = link().await;
    it.redeem_sign_in_link(&used, None, &AT_HOME).await.unwrap();
    let alive = link().await;
    let mut wrong = alive.clone();
    wrong.replace_range(30..31, if &alive[30..31] == "A" { "B" } else { "A" });
    let unknown = format!("chl_{}{}", "A".repeat(22), &alive[26..]);
    let token = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    let mut texts = Vec::new();
    for bad in [&replaced, &used, &wrong, &unknown, token.as_str(), "", "chl_", &"x".repeat(100_000)] {
        for error in [
            it.sign_in_link(bad).await.err().unwrap(),
            it.redeem_sign_in_link(bad, None, &AT_HOME).await.err().unwrap(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            texts.push(error.public_message());
        }
    }
    // A password is not asked for: said without using the link up.
    assert_code(it.redeem_sign_in_link(&alive, Some(PASSWORD), &AT_HOME).await, "user.password_not_asked");
    let shown = it.sign_in_link(&alive).await.unwrap();
    assert_eq!((shown.needs_password, shown.expires_at), (false, it.now().plus_seconds(15 * MINUTE)));
    world.clock.advance_seconds(15 * MINUTE - 1);
    assert!(it.sign_in_link(&alive).await.is_ok());
    world.clock.advance_seconds(1);
    texts.push(it.redeem_sign_in_link(&alive, None, &AT_HOME).await.err().unwrap().public_message());
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(it.new_sign_in_link("nobody@example.com").await.unwrap(), None);
    assert_eq!(world.entries(admin.project_id(), AuditEvent::SignInLinkCreated).await.len(), 3);
}

#[tokio::test]
async fn of_two_who_use_one_link_at_once_one_gets_in() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let server_link = it.new_sign_in_link(EMAIL).await.unwrap().unwrap();
    let new = NewUser { email: "b@example.com".to_owned(), role: Role::Operator };
    let (_, invitation) = it.create_user(&admin, new).await.unwrap();
    for (link, password) in [(server_link, None), (invitation, Some(PASSWORD))] {
        let enter = || it.redeem_sign_in_link(&link, password, &AT_HOME);
        let (one, two, three) = tokio::join!(enter(), enter(), enter());
        let results = [one, two, three];
        assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 1);
        for refused in results.into_iter().filter(Result::is_err) {
            assert_code(refused, "auth.required");
        }
    }
}

#[tokio::test]
async fn a_link_does_not_stand_for_a_second_factor() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let before = it.new_sign_in_link(EMAIL).await.unwrap().unwrap();
    world.enable_totp(&admin).await;
    assert_code(it.redeem_sign_in_link(&before, None, &AT_HOME).await, "auth.required");
    assert_eq!(it.new_sign_in_link(EMAIL).await.unwrap(), None);
}

#[tokio::test]
async fn a_reset_takes_password_and_second_factor_and_gives_a_way_back() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let (user, token) = world.person(&admin, "b@example.com", Role::Operator).await;
    world.enable_totp(&world.call(&token).await).await;
    assert_code(world.sign_in("b@example.com", PASSWORD, None).await, "auth.otp_required");
    let (after, first) = it.reset_user(&admin, user.id).await.unwrap();
    assert!(!after.has_password() && !after.has_second_factor());
    assert_eq!(it.reader().user(user.id).await.unwrap(), Some(after));
    assert_code(world.sign_in("b@example.com", PASSWORD, None).await, "auth.required");
    let (_, second) = it.reset_user(&admin, user.id).await.unwrap();
    assert_code(it.redeem_sign_in_link(&first, Some(NEW_PASSWORD), &AT_HOME).await, "auth.required");
    it.redeem_sign_in_link(&second, Some(NEW_PASSWORD), &AT_HOME).await.unwrap();
    world.sign_in("b@example.com", NEW_PASSWORD, None).await.unwrap();
    let chancery_model::identity::ActorId::User(own) = admin.requester.actor_id() else { panic!("a person") };
    assert_code(it.reset_user(&admin, own).await, "user.own_reset");
    assert_eq!(world.entries(admin.project_id(), AuditEvent::UserReset).await.len(), 2);
}

#[tokio::test]
async fn the_last_administrator_stays_and_one_who_cannot_sign_in_does_not_count() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let chancery_model::identity::ActorId::User(own) = admin.requester.actor_id() else { panic!("a person") };
    assert_code(it.set_user_role(&admin, own, Role::Operator).await, "user.last_administrator");
    assert_code(it.delete_user(&admin, own).await, "user.last_administrator");
    it.set_user_role(&admin, own, Role::Admin).await.unwrap();
    assert!(world.is_alive(&world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token).await);
    let new = NewUser { email: "deputy@example.com".to_owned(), role: Role::Admin };
    let (deputy, link) = it.create_user(&admin, new).await.unwrap();
    assert_code(it.delete_user(&admin, own).await, "user.last_administrator");
    it.redeem_sign_in_link(&link, Some(PASSWORD), &AT_HOME).await.unwrap();
    it.delete_user(&admin, own).await.unwrap();
    let token = world.sign_in("deputy@example.com", PASSWORD, None).await.unwrap().access_token;
    let call = world.call(&token).await;
    assert_code(it.delete_user(&call, deputy.id).await, "user.last_administrator");
    // An identity that can log in administers as well.
    world.machine(&call, Role::Admin, UniversalAuthSettings::default()).await;
    it.set_user_role(&call, deputy.id, Role::Auditor).await.unwrap();
    assert!(it.ensure_administrator(EMAIL, PASSWORD).await.unwrap().is_none(), "nobody is made in their place");
}

#[tokio::test]
async fn only_administrators_of_the_same_project_change_people() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let (_, chief) = other_project(&world, &admin).await;
    let (person, token) = world.person(&admin, "b@example.com", Role::Operator).await;
    let (_, auditor) = world.person(&admin, "c@example.com", Role::Auditor).await;
    let (own, auditor) = (world.call(&token).await, world.call(&auditor).await);
    let new = || NewUser { email: "d@example.com".to_owned(), role: Role::Admin };
    let nobody = UserId::from_uuid(uuid::Uuid::nil());
    for (call, id, code) in [
        (&chief, person.id, "not_found"),
        (&admin, nobody, "not_found"),
        (&own, person.id, "auth.permission"),
        (&auditor, person.id, "auth.permission"),
    ] {
        assert_code(it.set_user_role(call, id, Role::Admin).await, code);
        assert_code(it.delete_user(call, id).await, code);
        assert_code(it.reset_user(call, id).await, code);
        if code == "auth.permission" {
            assert_code(it.create_user(call, new()).await, code);
        }
    }
    for email in ["", "b", "b@", "a b@c"] {
        let new = NewUser { email: email.to_owned(), role: Role::Operator };
        assert_code(it.create_user(&admin, new).await, "user.email");
    }
    // A machine identity has no account to change.
    for result in [
        it.change_password(&chief, PASSWORD, NEW_PASSWORD).await,
        it.begin_totp(&chief).await.map(|_| ()),
        it.confirm_totp(&chief, "123456").await,
        it.remove_totp(&chief, PASSWORD).await,
    ] {
        assert_code(result, "user.people_only");
    }
}

#[tokio::test]
async fn own_sessions_are_listed_and_ended_and_nobody_elses() {
    let (world, admin) = World::administered().await;
    let it = &world.authority;
    let long_name = format!("Mozilla\n\u{7}{}", "x".repeat(400));
    let visitor = Visitor { ip: ABROAD, user_agent: &long_name, request_id: "r" };
    let abroad = it.sign_in(EMAIL, PASSWORD, None, &visitor).await.unwrap().access_token;
    let here = world.sign_in(EMAIL, PASSWORD, None).await.unwrap().access_token;
    let (_, theirs) = world.person(&admin, "b@example.com", Role::Operator).await;
    let (call, their_call) = (world.call(&here).await, world.call(&theirs).await);
    let sessions = it.own_sessions(&call).await.unwrap();
    assert_eq!(sessions.len(), 3, "{sessions:?}");
    let current = sessions.iter().find(|it| it.is_current).unwrap();
    assert_eq!((current.id, current.browser.as_ref().unwrap().ip), (id_of(&call), HOME));
    let other = sessions.iter().find(|it| it.browser.as_ref().is_some_and(|it| it.ip == ABROAD)).unwrap();
    assert_eq!(other.browser.as_ref().unwrap().user_agent, format!("Mozilla{}", "x".repeat(248)));
    assert!(sessions.iter().any(|it| it.id == id_of(&admin) && it.browser.is_none()));

    assert_code(it.end_session(&their_call, other.id).await, "not_found");
    assert_code(it.end_session(&call, id_of(&their_call)).await, "not_found");
    it.end_session(&call, other.id).await.unwrap();
    it.end_session(&call, other.id).await.unwrap();
    assert_token_refused(it.authenticate(&abroad, ABROAD).await);
    assert_eq!(it.end_other_sessions(&call).await.unwrap(), 1);
    assert_eq!(it.end_other_sessions(&call).await.unwrap(), 0);
    assert!(world.is_alive(&here).await && world.is_alive(&theirs).await);
    let ended = world.entries(admin.project_id(), AuditEvent::SessionEnded).await;
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().any(|it| details(it) == serde_json::json!({ "sessions": 1 })));
}
