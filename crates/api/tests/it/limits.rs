//! Calls that prove nothing are limited; those that do are not.

use chancery_api::RateLimit;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn unauthenticated_and_failed_calls_are_limited_and_others_are_not() {
    let world = World::with_limit(Some(RateLimit { per_second: 0.001, burst: 5.0 })).await;
    // One call was the administrator's own log-in.
    for _ in 0..3 {
        world.call("GET", "/api/v1/projects").token("chy_bad").send().await.error(403, "TokenError");
    }
    world.call("GET", "/api/status").send().await.ok();
    let limited = world.call("GET", "/api/v1/projects").token("chy_bad").send().await;
    limited.error(429, "RateLimitExceeded");
    assert!(limited.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert!(limited.headers.contains_key("x-ratelimit-reset"));
    let login = json!({ "email": "a@b.c", "password": "x" });
    world.call("POST", "/api/v1/auth/login").json(&login).send().await.error(429, "RateLimitExceeded");
    world.call("GET", "/healthz").send().await.ok();
    for _ in 0..50 {
        world.get("/api/v1/projects").await.ok();
    }
}
