//! How long a refusal takes tells nothing: unknown, locked and wrong look alike to a rank test, and the same test sees a
//! difference that is planted (A-11).

use std::time::Instant;

use countersign_core::{
    accounts::lockout::Kind,
    envelope::{command::OriginNow, event::IpSource},
    id::CorrelationId,
    secret::{Personal, Secret},
    security::FailureReason,
};
use countersign_server::{
    accounts::{passwords::Cost, people, sign_in, tries},
    signer::strict::Caller,
};
use countersign_store::{
    Batch,
    access_rows::{Change, UserRow},
};

use super::person::OTHER_PASSWORD;
use crate::app::{Options, TestApp};

const TRIES: usize = 2_000;
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
/// How far the chance that one takes longer than another may be from a half. The hash is a tenth of the real one: what is
/// seen of the rest beside it is ten times what a stranger could see.
const MARGIN: f64 = 0.1;

/// The chance that a value of `left` is greater than one of `right` (Mann–Whitney U over the number of pairs).
fn chance_of_longer(left: &[u64], right: &[u64]) -> f64 {
    let mut all: Vec<(u64, bool)> =
        left.iter().map(|value| (*value, true)).chain(right.iter().map(|value| (*value, false))).collect();
    all.sort_unstable();
    // Nanoseconds seldom tie; those that do count in the order of the sort, which is the same for both sides on average.
    let rank_sum: f64 =
        all.iter().zip(1_u32..).filter(|((_, is_left), _)| *is_left).map(|(_, rank)| f64::from(rank)).sum();
    let size = |values: &[u64]| f64::from(u32::try_from(values.len()).unwrap());
    let (m, n) = (size(left), size(right));
    (rank_sum - m * (m + 1.0) / 2.0) / (m * n)
}

fn is_alike(left: &[u64], right: &[u64]) -> bool {
    (chance_of_longer(left, right) - 0.5).abs() < MARGIN
}

fn caller(test: &TestApp, number: usize) -> Caller {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    Caller {
        origin: OriginNow {
            ip: Personal::new("192.0.2.7".to_owned()),
            ip_source: IpSource::Connection,
            user_agent: Some(Personal::new("Mozilla/5.0 (Test)".to_owned())),
            time_zone: None,
        },
        correlation: CorrelationId::new(test.app.now(), random),
        headers: axum::http::HeaderMap::new(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures time as a stranger would")]
async fn refusal_ns(test: &TestApp, email: &str, number: usize) -> u64 {
    let (caller, password) = (caller(test, number), Secret::new(OTHER_PASSWORD.to_owned()));
    let begin = Instant::now();
    assert!(sign_in::password(&test.app, &caller, email, &password).await.is_err());
    begin.elapsed().as_nanos().try_into().unwrap()
}

/// The same as somebody would write it who makes no hash where there is nothing to verify.
#[expect(clippy::disallowed_methods, reason = "this measures time as a stranger would")]
async fn careless_refusal_ns(test: &TestApp, number: usize) -> u64 {
    let caller = caller(test, number);
    let begin = Instant::now();
    assert!(tries::count(&test.app, &caller, None, None, Kind::Password).await.unwrap().is_none());
    let wrong = FailureReason::WrongCredential;
    tries::failed(&test.app, &caller, None, "password", wrong).await.unwrap();
    begin.elapsed().as_nanos().try_into().unwrap()
}

/// Sets the counters of an account, as so many wrong tries would have.
async fn set_failures(test: &TestApp, email: &str, failures: &str) {
    let user = people::by_address(&test.app, &Personal::new(email.to_owned())).await.unwrap().unwrap();
    let row = UserRow { failures: failures.to_owned(), ..user.next() };
    let batch = Batch { changes: vec![Change::User(row)], ..Batch::default() };
    test.app.store.commit(batch).await.unwrap();
}

/// A-11: 2,000 tries each, in turns, so that what the machine does besides is the same for all three.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_locked_and_wrong_take_as_long() {
    let test = TestApp::start_with(Options { cost: Cost::of(4_096, 1), ..Options::default() }).await;
    test.owner("Harbour Mills", ADA).await;
    test.owner("Copper Works", BOB).await;
    set_failures(&test, BOB, r#"{"strangers":{"password":{"at":[],"in_a_row":100}}}"#).await;
    let (mut unknown, mut locked, mut wrong, mut careless) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..TRIES {
        set_failures(&test, ADA, "{}").await;
        // Each goes first as often as the others: what came right before leaves its traces in all of them.
        for turn in 0..3 {
            match (number + turn) % 3 {
                0 => wrong.push(refusal_ns(&test, ADA, number).await),
                1 => locked.push(refusal_ns(&test, BOB, number).await),
                _ => unknown.push(refusal_ns(&test, &format!("nobody{number}@example.com"), number).await),
            }
        }
        if number % 4 == 0 {
            careless.push(careless_refusal_ns(&test, number).await);
        }
    }
    let said = chance_of_longer;
    assert!(is_alike(&unknown, &locked), "unknown, locked: {}", said(&unknown, &locked));
    assert!(is_alike(&wrong, &locked), "wrong, locked: {}", said(&wrong, &locked));
    assert!(is_alike(&wrong, &unknown), "wrong, unknown: {}", said(&wrong, &unknown));
    assert!(!is_alike(&careless, &unknown), "careless, unknown: {}", said(&careless, &unknown));
    test.work().await;
    test.finish().await;
}
