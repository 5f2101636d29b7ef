//! What the random commands do with credentials and people.

use std::fmt::Debug;

use countersign_core::{id::SignInId, role::Role};
use countersign_store::{
    Batch, Fault, Store,
    access_rows::{Change, Ending, UserRow},
    batch::{Chain, Row},
    rows::{ApiKeyRow, security_stream},
};

use crate::{command::told, dice::Dice, people, rows};

/// Identities of each kind.
const FEW: u64 = 6;
const SALTS: u64 = 60;

/// A row of one of the kinds.
pub(crate) fn row(dice: &mut Dice, of: u64) -> Row {
    let (number, salt) = (dice.below(FEW), dice.below(SALTS));
    // Rows belong to a tenant each, most of the time.
    let of = if dice.below(6) == 0 { of } else { 0 };
    match dice.below(14) {
        0..=1 => Row::Client(people::client(of, number % 4, salt)),
        2..=3 => Row::Grant(people::grant(of, number, salt)),
        4..=5 => Row::AccessToken(people::access_token(dice.below(9), number, salt)),
        6 => Row::AuthorizationCode(people::authorization_code(number, salt)),
        7 => Row::PushedRequest(people::pushed_request(of, number, salt)),
        8 => Row::User(people::user(number % 4, dice.below(6), salt)),
        9 => Row::Member(people::member(of, number % 4, salt)),
        10 => Row::Authenticator(people::authenticator(dice.below(9), salt)),
        11 => Row::SignIn(people::sign_in(number, dice.below(9), salt)),
        12 => Row::Provider(people::provider(of, salt)),
        _ => Row::Ticket(people::ticket(number, dice.below(9), salt)),
    }
}

/// A change of a row of one of the kinds, of some version.
pub(crate) fn change(dice: &mut Dice, of: u64) -> Change {
    let (number, salt) = (dice.below(FEW), dice.below(SALTS));
    let of = if dice.below(6) == 0 { of } else { 0 };
    let mut change = match dice.below(28) {
        0..=1 => Change::Client(people::client(of, number % 4, salt)),
        2..=4 => Change::Grant(people::grant(of, number, salt)),
        5 => Change::AuthorizationCode(people::authorization_code(number, salt)),
        6 => Change::PushedRequest(people::pushed_request(of, number, salt)),
        7 => Change::User(people::user(number % 4, dice.below(6), salt)),
        8 => Change::Member(people::member(of, number % 4, salt)),
        9 => Change::Authenticator(people::authenticator(dice.below(9), salt)),
        10 => Change::SignIn(people::sign_in(number, dice.below(9), salt)),
        11 => Change::Ticket(people::ticket(number, dice.below(9), salt)),
        12 => Change::ApiKey(api_key(of, dice.below(9), dice.below(9), salt)),
        13 => {
            let (from, to) = (dice.below(3), 1 + dice.below(4));
            Change::EndTokens { grant: people::grant_id(number), from, to }
        }
        14 => Change::Provider(people::provider(of, salt)),
        15 => Change::SeeToken(rows::token("access token", dice.below(9)), rows::at(salt)),
        16..=18 => Change::End { what: ending(dice, of), at: rows::at(salt), once: dice.below(4) == 0 },
        19 => {
            let (organization, user) = (rows::tenant(of).organization(), people::user_id(number % 4));
            Change::Vouch { organization, user, role: role(dice) }
        }
        20 => {
            let tries = |dice: &mut Dice| people::user(0, 0, dice.below(SALTS)).failures;
            let (user, version) = (people::user_id(number % 4), 1 + dice.below(3));
            Change::Tries { user, version, before: tries(dice), after: tries(dice) }
        }
        21..=22 => {
            let names = dice.some_of(6).into_iter().map(people::provider_name).collect();
            Change::NameProvider { organization: rows::tenant(of).organization(), names }
        }
        23..=24 => {
            let resource = (dice.below(4) > 0).then(|| people::resource(dice.below(4)));
            Change::NameResource { tenant: rows::tenant(of), client: people::client_id(number % 4), resource }
        }
        _ => Change::EndToken(rows::token("access token", dice.below(9))),
    };
    set_version(&mut change, dice.below(4));
    change
}

fn role(dice: &mut Dice) -> Role {
    people::member(0, 0, dice.below(SALTS)).role
}

fn ending(dice: &mut Dice, of: u64) -> Ending {
    let number = dice.below(FEW);
    let user = people::user_id(number % 4);
    match dice.below(8) {
        0 => Ending::Client(people::client_id(number % 4)),
        1 => Ending::Grant(people::grant_id(number)),
        2 => Ending::Member { organization: rows::tenant(of).organization(), user, role: role(dice) },
        3 => Ending::Authenticator(people::authenticator(dice.below(9), 1).authenticator),
        4 => Ending::SignIn(people::sign_in_id(number)),
        5 => Ending::SignInsOf(user),
        6 => Ending::SignInsThrough(people::provider_id(7 * dice.below(9))),
        7 => Ending::Provider(people::provider_id(of * 1_000 + dice.below(3))),
        _ => Ending::ApiKey(rows::api_key_id(dice.below(9))),
    }
}

fn api_key(of: u64, number: u64, secret: u64, salt: u64) -> ApiKeyRow {
    let Row::ApiKey(mut row) = rows::api_key(of, number, secret) else { unreachable!() };
    row.label = format!("changed {salt}");
    row.expires_at = rows::at(salt);
    row.networks = vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()];
    row.warned_days = Some(7);
    row
}

fn set_version(change: &mut Change, version: u64) {
    match change {
        Change::Client(row) => row.version = version,
        Change::Grant(row) => row.version = version,
        Change::AuthorizationCode(row) => row.version = version,
        Change::PushedRequest(row) => row.version = version,
        Change::User(row) => row.version = version,
        Change::Member(row) => row.version = version,
        Change::Authenticator(row) => row.version = version,
        Change::SignIn(row) => row.version = version,
        Change::Ticket(row) => row.version = version,
        Change::Provider(row) => row.version = version,
        Change::ApiKey(row) => row.version = version,
        Change::Endpoint(row) => row.version = version,
        Change::WebhookKey(row) => row.version = version,
        Change::NameProvider { .. }
        | Change::NameResource { .. }
        | Change::EndTokens { .. }
        | Change::EndToken(_)
        | Change::SeeToken(..)
        | Change::End { .. }
        | Change::Vouch { .. }
        | Change::Unblock(_) => {}
        Change::Tries { version: read, .. } => *read = version,
    }
}

/// Spends, changes, security events and a chain for a batch.
pub(crate) fn draw(dice: &mut Dice, of: u64, batch: &mut Batch) {
    if dice.below(4) == 0 {
        batch.spends =
            (0..=dice.below(2)).map(|_| people::spend(dice.below(40), dice.below(SALTS))).collect();
    }
    if dice.below(3) == 0 {
        for _ in 0..=dice.below(2) {
            let change = change(dice, of);
            if let Change::End { what: Ending::SignInsOf(user), .. } = change {
                let user = UserRow { user, ..people::user(0, dice.below(6), dice.below(SALTS)) };
                batch.changes.push(Change::User(user));
            }
            batch.changes.push(change);
        }
    }
    if dice.below(5) == 0 {
        batch.security = (0..=dice.below(3)).map(|_| people::security(of, dice.below(30))).collect();
    }
    batch.chains = (dice.below(8) == 0).then(|| {
        let mut chain = people::chain(of, dice.below(4), 1 + dice.below(3), dice.below(SALTS));
        chain.taken = dice.some_of(30).into_iter().map(people::security_event_id).collect();
        chain
    });
}

/// Moves the changes and the chain of a batch to what is stored.
pub(crate) async fn go_on(store: &dyn Store, batch: &mut Batch) {
    for change in &mut batch.changes {
        if let Some(version) = stored_version(store, change).await {
            set_version(change, version + 1);
        }
        if let Change::Tries { user, version, before, .. } = change
            && let Some(row) = store.user(*user).await.unwrap()
        {
            (*version, *before) = (row.version, row.failures);
        }
    }
    if let Some(chain) = &mut batch.chains {
        let head = store.security_head(&chain.tenant).await.unwrap();
        let (next, count) = (head.map_or(1, |(seq, _)| seq + 1), u64::try_from(chain.events.len()).unwrap());
        let number = rows::number_of(&chain.tenant);
        let waiting = store.security_inbox(99).await.unwrap();
        let taken = waiting.iter().filter(|row| row.tenant == chain.tenant).map(|row| row.event);
        let taken = taken.take(usize::try_from(count).unwrap()).collect();
        *chain = Chain { taken, ..people::chain(number, next, count, next) };
    }
}

async fn stored_version(store: &dyn Store, change: &Change) -> Option<u64> {
    match change {
        Change::Client(row) => Some(store.client(row.client).await.unwrap()?.version),
        Change::Grant(row) => Some(store.grant(row.grant).await.unwrap()?.version),
        Change::AuthorizationCode(row) => Some(store.authorization_code(&row.hash).await.unwrap()?.0.version),
        Change::PushedRequest(row) => Some(store.pushed_request(&row.hash).await.unwrap()?.version),
        Change::User(row) => Some(store.user(row.user).await.unwrap()?.version),
        Change::Member(row) => Some(store.member(row.organization, row.user).await.unwrap()?.version),
        Change::Authenticator(row) => {
            let all = store.authenticators(row.user).await.unwrap();
            Some(all.iter().find(|old| old.authenticator == row.authenticator)?.version)
        }
        Change::SignIn(row) => {
            let all = store.sign_ins(row.user).await.unwrap();
            Some(all.iter().find(|old| old.sign_in == row.sign_in)?.version)
        }
        Change::Ticket(row) => Some(store.ticket_by_id(row.ticket).await.unwrap()?.version),
        Change::Provider(row) => Some(store.provider(row.organization).await.unwrap()?.version),
        Change::ApiKey(row) => Some(store.api_key_by_id(row.key).await.unwrap()?.version),
        Change::Endpoint(row) => Some(store.endpoint(&row.tenant, row.endpoint).await.unwrap()?.version),
        Change::WebhookKey(row) => {
            let all = store.webhook_keys(row.endpoint).await.unwrap();
            Some(all.iter().find(|old| old.key == row.key)?.version)
        }
        Change::NameProvider { .. }
        | Change::NameResource { .. }
        | Change::EndTokens { .. }
        | Change::EndToken(_)
        | Change::SeeToken(..)
        | Change::End { .. }
        | Change::Vouch { .. }
        | Change::Unblock(_)
        | Change::Tries { .. } => None,
    }
}

fn all<T: Debug>(found: Result<Vec<T>, Fault>) -> String {
    told(found)
}

/// Clients, grants and tokens as they are read.
pub(crate) async fn tokens(store: &dyn Store, of: u64, number: u64, before: Option<u64>) -> String {
    let (tenant, grant) = (rows::tenant(of), people::grant_id(number));
    let client = Some(people::client_id(number % 4));
    let user = Some(people::user_id(number % 3));
    let page = before.map(people::grant_id);
    let mut texts = vec![
        told(store.access_token(&rows::token("access token", number)).await),
        told(store.client(people::client_id(number)).await),
        all(store.clients(&tenant, before.map(people::client_id), 2).await),
        told(store.grant(grant).await),
        told(store.grant_view(grant).await),
        told(store.authorization_code(&rows::token("authorization code", number)).await),
        told(store.pushed_request(&rows::token("request", number)).await),
        told(store.is_spent(rows::digest("spend", number)).await),
    ];
    for (client, user) in [(None, None), (client, None), (None, user), (client, user)] {
        texts.push(all(store.grants(&tenant, client, user, page, 3).await));
    }
    texts.join("\n")
}

/// People as they are read.
pub(crate) async fn people(store: &dyn Store, of: u64, number: u64) -> String {
    let (user, organization) = (people::user_id(number), rows::tenant(of).organization());
    [
        told(store.user(user).await),
        told(store.user_by_lookup(rows::digest("address", number)).await),
        all(store.members(organization).await),
        told(store.member(organization, user).await),
        all(store.memberships(user).await),
        all(store.authenticators(user).await),
        told(store.authenticator_by_lookup(rows::digest("credential", number)).await),
        told(store.sign_in(&rows::token("console cookie", number)).await),
        all(store.sign_ins(user).await),
        told(store.ticket(&rows::token("ticket", number)).await),
        all(store.tickets(organization).await),
        told(store.ticket_by_id(people::ticket_id(number)).await),
        told(store.provider(organization).await),
        told(store.provider_by_id(people::provider_id(of * 1_000 + number % 3)).await),
        told(store.client_by_resource(&rows::tenant(of), &people::resource(number)).await),
        told(store.provider_by_name(&people::provider_name(number)).await),
        all(store.providers().await),
        told(store.api_key_by_id(rows::api_key_id(number)).await),
    ]
    .join("\n")
}

/// Security events as they are read.
pub(crate) async fn security(store: &dyn Store, of: u64, before: Option<u64>, limit: usize) -> String {
    let (tenant, stream) = (rows::tenant(of), security_stream(&rows::tenant(of)));
    let head = store.security_head(&tenant).await.unwrap();
    assert_eq!(store.head(&tenant, stream).await.unwrap(), head.map(|(_, hash)| hash));
    assert!(store.load(&tenant, stream).await.unwrap().is_none(), "a security stream is no envelope");
    let events = all(store.security_events(&tenant, before, limit).await);
    let fed = all(store.fed_events(&tenant, before, limit).await);
    [format!("{head:?}"), events, fed, all(store.security_inbox(limit).await)].join("\n")
}

/// Notes uses of a key and of a session.
pub(crate) async fn touch(store: &dyn Store, number: u64, salt: u64) -> String {
    let sign_in: SignInId = people::sign_in_id(number);
    let (now, end) = (rows::at(salt * 20), rows::at(salt * 30));
    told(store.touch_sign_in(sign_in, now, end).await)
        + &told(store.touch_key(people::key_use(number, salt)).await)
}
