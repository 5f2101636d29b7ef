//! Many at once with one thing that is good once: one comes in (G-7), also of two servers on one database.

use std::sync::Arc;

use countersign_core::{
    envelope::{command::OriginNow, event::IpSource},
    id::CorrelationId,
    secret::{Personal, Secret},
};
use countersign_server::{
    accounts::{
        passwords::Cost,
        people,
        proofs::Proof,
        sign_in::{self, Aim, HalfWay},
    },
    app::App,
    signer::strict::Caller,
};

use super::person::{Person, code_at};
use crate::app::{Options, TestApp, TestDice};

const ADA: &str = "ada@example.com";

fn caller(test: &TestApp) -> Caller {
    Caller {
        origin: OriginNow {
            ip: Personal::new("192.0.2.7".to_owned()),
            ip_source: IpSource::Connection,
            user_agent: None,
            time_zone: None,
        },
        correlation: CorrelationId::new(test.app.now(), [9; 10]),
        headers: axum::http::HeaderMap::new(),
    }
}

/// Twenty bring the same code at once, past all counters, to each of these servers in turn: how many come in.
async fn twenty(test: &TestApp, servers: &[Arc<App>], code: &str) -> usize {
    let address = Personal::new(ADA.to_owned());
    let user = people::by_address(&test.app, &address).await.unwrap().unwrap();
    let half_way = HalfWay { user: user.id(), valid_from: user.row.valid_from };
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (app, caller) = (Arc::clone(&servers[number % servers.len()]), caller(test));
            let proof = Proof::Typed(Secret::new(code.to_owned()));
            tokio::spawn(
                async move { sign_in::finish(&app, &caller, &half_way, &proof, Aim::New).await.is_ok() },
            )
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    winners
}

async fn one_of_twenty(test: TestApp, servers: Vec<Arc<App>>) {
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let codes = ada.recovery_codes(&test).await;
    for code in &codes[..3] {
        assert_eq!(twenty(&test, &servers, code).await, 1, "a recovery code");
    }
    test.clock.forward_s(60);
    let code = code_at(&ada.secret, test.app.now());
    assert_eq!(twenty(&test, &servers, &code).await, 1, "a one-time code");
    test.work().await;
    test.finish().await;
}

/// G-7, A-10: on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_code_that_twenty_bring_lets_one_in() {
    let test = TestApp::start().await;
    let servers = vec![Arc::clone(&test.app)];
    Box::pin(one_of_twenty(test, servers)).await;
}

/// G-7, A-10: on two servers that share a PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_a_code_that_twenty_bring_lets_one_in() {
    let test = TestApp::start_with(Options { postgres: true, ..Options::default() }).await;
    let dice = Arc::new(TestDice::new(78));
    let (config, clock) = (test.app.config.clone(), Arc::clone(&test.clock));
    let other = App::open_with(config, clock as _, dice, Cost::of(8, 1)).await.unwrap().app;
    let servers = vec![Arc::clone(&test.app), other];
    Box::pin(one_of_twenty(test, servers)).await;
}

/// of two who use a link at once, one gets an account.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_use_a_link_at_once_one_gets_an_account() {
    let test = Arc::new(TestApp::start().await);
    let (_, link) = test.init("Harbour Mills", ADA).await;
    let secret = super::person::secret_of(&link);
    let mut ready = Vec::new();
    for _ in 0..4 {
        let person = Person::new(&test, ADA);
        let begun =
            serde_json::json!({ "secret": secret, "name": "Ada", "password": super::person::PASSWORD });
        let codes = person.ask(&test, "/welcome/codes", &begun).await;
        let code = code_at(codes["text"].as_str().unwrap(), test.app.now());
        let finish = serde_json::json!({ "secret": secret, "state": codes["state"], "code": code });
        ready.push((person, finish));
    }
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(person, finish)| {
            let test = Arc::clone(&test);
            let path = "/welcome/codes/finish";
            tokio::spawn(async move { person.post(&test, path, &finish).await.0.is_success() })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    test.work().await;
    Arc::into_inner(test).unwrap().finish().await;
}

/// Who comes in with a recovery code each while the password is changed: nobody stays, however the two meet.
async fn a_change_ends_all_who_come_in_beside_it(postgres: bool) {
    let test = TestApp::start_with(Options { postgres, ..Options::default() }).await;
    let other = test.beside(79).await;
    let servers = [Arc::clone(&test.app), Arc::clone(&other.app)];
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let address = Personal::new(ADA.to_owned());
    for password in [super::person::OTHER_PASSWORD, super::person::PASSWORD, super::person::OTHER_PASSWORD] {
        let codes = ada.recovery_codes(&test).await;
        let user = people::by_address(&test.app, &address).await.unwrap().unwrap();
        let half_way = HalfWay { user: user.id(), valid_from: user.row.valid_from };
        let coming: Vec<_> = codes
            .into_iter()
            .enumerate()
            .map(|(number, code)| {
                let (app, caller) = (Arc::clone(&servers[number % 2]), caller(&test));
                let proof = Proof::Typed(Secret::new(code));
                tokio::spawn(async move {
                    sign_in::finish(&app, &caller, &half_way, &proof, Aim::New).await.is_ok()
                })
            })
            .collect();
        let changed = ada.form(&test, "/account/password", &[("password", password)]).await;
        let path = changed.url().path().to_owned();
        assert_eq!(path, "/account", "{}", changed.text().await.unwrap());
        for one in coming {
            one.await.unwrap();
        }
        let sessions = test.app.store.sign_ins(user.id()).await.unwrap();
        let open = sessions.iter().filter(|row| row.ended_at.is_none()).count();
        assert_eq!(open, 1, "the one in which it was changed goes on");
        assert!(ada.is_in(&test).await);
    }
    other.finish_without_worker().await;
    test.work().await;
    test.finish().await;
}

/// on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_change_of_the_password_ends_all_who_come_in_beside_it() {
    Box::pin(a_change_ends_all_who_come_in_beside_it(false)).await;
}

/// on two servers that share a PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_a_change_of_the_password_ends_all_who_come_in_beside_it() {
    Box::pin(a_change_ends_all_who_come_in_beside_it(true)).await;
}
