//! Signing in and out.

use chancery_model::permission::Role;

use crate::place::{ADMIN, PASSWORD, Place};

#[tokio::test]
async fn nobody_sees_a_page_and_is_led_back_to_it_after_signing_in() {
    let place = Place::new().await;
    let browser = place.stranger();
    let answer = browser.get("/ui/certificates?status=active").await;
    assert_eq!(answer.sent(), "/ui/sign-in?next=%2Fui%2Fcertificates%3Fstatus%3Dactive");
    let next = "/ui/certificates?status=active";
    let fields = [("email", ADMIN), ("password", PASSWORD), ("next", next)];
    assert_eq!(browser.post_bare("/ui/sign-in", &fields, &[]).await.sent(), next);
    assert!(browser.get("/ui/about").await.ok().contains(ADMIN));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_opens_nothing() {
    let place = Place::new().await;
    let browser = place.stranger();
    let answer = browser.post_bare("/ui/sign-in", &[("email", ADMIN), ("password", "wrong")], &[]).await;
    assert_eq!(answer.status, 422);
    assert!(answer.words().contains("The credentials are wrong"), "{}", answer.words());
    assert!(browser.cookie("session").is_none());
    assert_eq!(browser.get("/ui").await.status, 303);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let stolen = browser.cookie("session").unwrap();
    assert_eq!(browser.post("/ui/sign-out", &[]).await.sent(), "/ui/sign-in");
    assert!(browser.cookie("session").is_none());
    let thief = place.stranger();
    thief.set_cookie("__Host-chancery-session", &stolen);
    assert_eq!(thief.get("/ui").await.status, 303);
}
