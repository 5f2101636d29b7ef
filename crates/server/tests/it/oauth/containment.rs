//! Whoever is to be ended cannot hold that up: a client that refreshes without a pause, from many places at once, and one that
//! changes its own registration without a pause, are ended by one request. On SQLite, and with two processes of the real
//! program over one PostgreSQL.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use countersign_core::{access::Environment, role::Role, scope::Scopes, security::SecurityActor};
use countersign_server::{accounts::members, clients, grants, security::Circumstances};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};

use super::{
    client::{Answered, Client, registration},
    flow::Scene,
    keys::{ClientKey, proof_claims},
    races::Course,
};
use crate::console::{in_person, silent_member};

/// So many refresh, or change, at the same time.
const AT_ONCE: usize = 8;
/// So often it went well before it is ended.
const BEFORE: usize = 16;

fn operator(course: &Course) -> Circumstances {
    let correlation = course.test.app.new_correlation();
    Circumstances { actor: SecurityActor::Operator, origin: None, correlation }
}

/// What goes on without a pause until it is refused, from many places at once; how often it went well.
struct Attack {
    done: AtomicUsize,
    is_over: AtomicBool,
}

impl Attack {
    fn new() -> Self {
        Self { done: AtomicUsize::new(0), is_over: AtomicBool::new(false) }
    }

    /// Asks again and again, at the server of each number, until `ask` says that it is refused, or all is over.
    async fn run(&self, ask: impl AsyncFn(usize) -> bool) {
        let one = async |number| {
            while !self.is_over.load(Ordering::SeqCst) && ask(number).await {
                self.done.fetch_add(1, Ordering::SeqCst);
            }
        };
        join_all((0..AT_ONCE).map(one)).await;
    }

    /// Waits until the attack is in full swing.
    async fn goes_on(&self) {
        while self.done.load(Ordering::SeqCst) < BEFORE {
            tokio::task::yield_now().await;
        }
    }
}

/// How a grant comes to its end.
#[derive(Clone, Copy)]
enum By {
    Grant,
    Member,
}

/// a client refreshes from eight places without a pause, while an admin ends the grant, or the member who gave it:
/// it is over within that one request, and no token lives that a refresh gave meanwhile.
async fn who_refreshes_without_a_pause_is_ended(postgres: bool, by: By) {
    let course = Course::new(postgres).await;
    let scene = Scene::new(&course.test, "fapi2").await;
    let test = &course.test;
    let first = scene.redeem(&scene.code().await).await;
    let refresh = first.body["refresh_token"].as_str().unwrap();
    let tenant = scene.client.tenant;
    let grant = test.app.store.grants(&tenant, None, None, None, 9).await.unwrap().remove(0);
    let admin = silent_member(test, scene.organization, Role::Owner).await;
    let attack = Attack::new();
    let ask = async |number| {
        let form = scene.client.form(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
        let proof = scene.client.dpop.proof(&scene.client.proof_claims());
        let request = test.client.post(course.url(number, "/oauth/token")).form(&form).header("DPoP", proof);
        let answered = Answered::of(request).await;
        // Those who meet one another too often are told to come again.
        assert!(matches!(answered.status.as_u16(), 200 | 400 | 503), "{}", answered.body);
        answered.status != StatusCode::BAD_REQUEST
    };
    let end = async {
        attack.goes_on().await;
        let circumstances = operator(&course);
        let ended = match by {
            By::Grant => {
                let of = (grant.grant, None);
                grants::end(&test.app, &tenant, &circumstances, of, None).await.map(drop)
            }
            By::Member => {
                let (principal, user) = (in_person(test, &admin), grant.user.unwrap());
                members::remove(&test.app, &principal, &circumstances, user, None).await.map(drop)
            }
        };
        let live = course.live_tokens().await;
        attack.is_over.store(true, Ordering::SeqCst);
        (ended, live)
    };
    let ((), (ended, live)) = tokio::join!(attack.run(ask), end);
    assert!(ended.is_ok(), "{:?}", ended.err());
    assert_eq!(live, BTreeSet::new(), "once it was ended");
    assert_eq!(course.live_tokens().await, BTreeSet::new(), "and after all who were on their way");
    assert_eq!(scene.refresh(refresh).await.error(), (400, "invalid_grant"));
    let row = test.app.store.grant(grant.grant).await.unwrap().unwrap();
    assert!(row.ended_at.is_some());
    let done = u64::try_from(attack.done.load(Ordering::SeqCst)).unwrap();
    assert!(row.version > 8, "{done} refreshes, version {}", row.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_grant_that_is_refreshed_without_a_pause_is_ended_by_one_request() {
    who_refreshes_without_a_pause_is_ended(false, By::Grant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_a_grant_that_is_refreshed_without_a_pause_is_ended_by_one_request() {
    who_refreshes_without_a_pause_is_ended(true, By::Grant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_member_whose_client_refreshes_without_a_pause_is_ended_by_one_request() {
    who_refreshes_without_a_pause_is_ended(false, By::Member).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_a_member_whose_client_refreshes_without_a_pause_is_ended_by_one_request() {
    who_refreshes_without_a_pause_is_ended(true, By::Member).await;
}

/// a client that may change registrations, and changes its own without a pause, is ended by one request.
async fn who_changes_itself_without_a_pause_is_ended(postgres: bool) {
    let course = Course::new(postgres).await;
    let test = &course.test;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("restless");
    let registered = registration(&key, Scopes::ALL);
    let client = Client::register_with(test, organization, Environment::Sandbox, key, &registered).await;
    let token = client.own_token("admin:clients").await;
    let (attack, path) = (Attack::new(), format!("/v1/clients/{}", client.id));
    let ask = async |number| {
        let claims = proof_claims(
            "POST",
            &client.url(&path),
            &client.jti(),
            test.app.now(),
            Some(&client.nonce()),
            Some(&token),
        );
        let mut wanted = registered.clone();
        wanted["client_name"] = format!("Restless {}", client.jti()).into();
        let request = test.client.request(Method::POST, course.url(number, &path)).json(&wanted);
        let request =
            request.header("Idempotency-Key", client.jti()).header("Authorization", format!("DPoP {token}"));
        let answered = Answered::of(request.header("DPoP", client.dpop.proof(&claims))).await;
        assert!(matches!(answered.status.as_u16(), 200 | 401 | 404 | 409 | 503), "{}", answered.body);
        !matches!(answered.status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)
    };
    let end = async {
        attack.goes_on().await;
        let ended = clients::end(&test.app, &client.tenant, &operator(&course), client.id, None).await;
        let live = course.live_tokens().await;
        attack.is_over.store(true, Ordering::SeqCst);
        (ended, live)
    };
    let ((), (ended, live)) = tokio::join!(attack.run(ask), end);
    assert!(ended.is_ok(), "{:?}", ended.err());
    assert_eq!(live, BTreeSet::new());
    let row = test.app.store.client(client.id).await.unwrap().unwrap();
    assert!(row.ended_at.is_some(), "no change brought it back");
    assert!(row.version > 3, "it changed: {}", row.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_client_that_changes_itself_without_a_pause_is_ended_by_one_request() {
    who_changes_itself_without_a_pause_is_ended(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_a_client_that_changes_itself_without_a_pause_is_ended_by_one_request() {
    who_changes_itself_without_a_pause_is_ended(true).await;
}
