//! Rows of credentials and people, made from small numbers like those of `rows`: what never changes of a row comes from its
//! number, the rest from a salt.

use countersign_core::{
    id::{
        AuthenticatorId, ClientId, GrantId, PersonId, ProviderId, SecurityEventId, SignInId, TicketId, UserId,
    },
    level::Level,
    role::Role,
    scope::{Scope, Scopes},
};
use countersign_store::{
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Binding, ClientRow, GrantRow, KeyUse,
        MemberRow, ProviderRow, PushedRequestRow, SecurityRow, SignInRow, Spend, TicketRow, UserRow,
    },
    batch::Chain,
};

use crate::rows::{api_key_id, at, bytes, digest, event, organization_id, tenant, token};

pub(crate) fn client_id(number: u64) -> ClientId {
    ClientId::from_bytes(bytes(number))
}

pub(crate) fn grant_id(number: u64) -> GrantId {
    GrantId::from_bytes(bytes(number))
}

pub(crate) fn user_id(number: u64) -> UserId {
    UserId::from_bytes(bytes(number))
}

pub(crate) fn sign_in_id(number: u64) -> SignInId {
    SignInId::from_bytes(bytes(number))
}

pub(crate) fn ticket_id(number: u64) -> TicketId {
    TicketId::from_bytes(bytes(number))
}

pub(crate) fn security_event_id(number: u64) -> SecurityEventId {
    SecurityEventId::from_bytes(bytes(number))
}

fn scopes(salt: u64) -> Scopes {
    let first = usize::try_from(salt).unwrap() % (Scope::ALL.len() - 4);
    Scopes::of(&Scope::ALL[..first])
}

pub(crate) fn client(of: u64, number: u64, salt: u64) -> ClientRow {
    ClientRow {
        tenant: tenant(of),
        client: client_id(number),
        is_fapi: salt.is_multiple_of(2),
        // 59 asks for what a client without the profile cannot have.
        scopes: if salt.is_multiple_of(2) || salt == 59 { Scopes::ALL } else { scopes(salt) },
        person: PersonId::from_bytes(bytes(number)),
        registration: format!("{{\"name\":\"Client {salt} 'quoted' \u{e9}\"}}"),
        secret: salt.is_multiple_of(3).then(|| token("client secret", salt)),
        created_at: at(number),
        ended_at: salt.is_multiple_of(5).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn grant(of: u64, number: u64, salt: u64) -> GrantRow {
    let user = number % 3;
    GrantRow {
        tenant: tenant(of),
        grant: grant_id(number),
        client: client_id(number % 4),
        user: (user > 0).then(|| user_id(user)),
        sign_in: (user > 0).then(|| sign_in_id(number)),
        scopes: scopes(salt),
        terms: format!("{{\"nonce\":\"{salt}\"}}"),
        authenticated: (user > 0).then(|| (Level::ALL[usize::try_from(salt % 3).unwrap()], at(salt))),
        binding: salt.is_multiple_of(2).then(|| digest("jwk", salt)),
        generation: salt,
        retry_of: salt.is_multiple_of(3).then_some(salt + 1),
        rotated_at: at(salt),
        created_at: at(number),
        expires_at: at(100 + salt * 50),
        ended_at: salt.is_multiple_of(7).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn access_token(number: u64, grant: u64, salt: u64) -> AccessTokenRow {
    AccessTokenRow {
        hash: token("access token", number),
        grant: grant_id(grant),
        generation: salt % 5,
        scopes: scopes(salt),
        audience: salt.is_multiple_of(2).then(|| format!("https://api.example/{salt}")),
        binding: match salt % 3 {
            0 => None,
            1 => Some(Binding::Key(digest("jwk", salt))),
            _ => Some(Binding::Certificate(digest("certificate", salt))),
        },
        created_at: at(number),
        expires_at: at(salt * 40),
        seen_at: salt.is_multiple_of(3).then(|| at(salt)),
    }
}

pub(crate) fn authorization_code(number: u64, salt: u64) -> AuthorizationCodeRow {
    AuthorizationCodeRow {
        hash: token("authorization code", number),
        grant: grant_id(number),
        request: format!("{{\"code_challenge\":\"{salt}\"}}"),
        expires_at: at(salt * 40),
        used_at: salt.is_multiple_of(2).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn pushed_request(of: u64, number: u64, salt: u64) -> PushedRequestRow {
    PushedRequestRow {
        hash: token("request", number),
        tenant: tenant(of),
        client: client_id(number % 4),
        request: format!("{{\"state\":\"{salt}\"}}"),
        browser: salt.is_multiple_of(2).then(|| digest("browser", salt)),
        expires_at: at(salt * 40),
        used_at: salt.is_multiple_of(3).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn user(number: u64, lookup: u64, salt: u64) -> UserRow {
    UserRow {
        user: user_id(number),
        lookup: digest("address", lookup),
        wrapped_key: vec![1; 40],
        sealed_profile: bytes(salt).to_vec(),
        sealed_password: salt.is_multiple_of(2).then(|| bytes(salt).to_vec()),
        failures: format!("{{\"salt\":{salt}}}"),
        valid_from: at(salt),
        created_at: at(number),
        ended_at: salt.is_multiple_of(5).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn member(of: u64, number: u64, salt: u64) -> MemberRow {
    MemberRow {
        organization: organization_id(of / 2),
        user: user_id(number),
        role: Role::ALL[usize::try_from(salt).unwrap() % Role::ALL.len()],
        persons: (PersonId::from_bytes(bytes(number)), PersonId::from_bytes(bytes(salt))),
        created_at: at(number),
        ended_at: salt.is_multiple_of(4).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn authenticator(number: u64, salt: u64) -> AuthenticatorRow {
    AuthenticatorRow {
        authenticator: AuthenticatorId::from_bytes(bytes(number)),
        user: user_id(number % 3),
        kind: if number.is_multiple_of(3) { "totp" } else { "passkey" }.to_owned(),
        // Two numbers have one lookup.
        lookup: (!number.is_multiple_of(3)).then(|| digest("credential", number / 2)),
        sealed: bytes(salt).to_vec(),
        counter: salt,
        created_at: at(number),
        used_at: salt.is_multiple_of(2).then(|| at(salt)),
        ended_at: salt.is_multiple_of(5).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn sign_in(number: u64, cookie: u64, salt: u64) -> SignInRow {
    SignInRow {
        sign_in: sign_in_id(number),
        user: user_id(number % 3),
        cookie: token("console cookie", cookie),
        tenant: salt.is_multiple_of(2).then(|| tenant(salt % 4)),
        authenticated: (Level::ALL[usize::try_from(salt % 3).unwrap()], at(salt)),
        sealed_origin: bytes(salt).to_vec(),
        created_at: at(number),
        expires_at: at(salt * 40),
        ended_at: salt.is_multiple_of(3).then(|| at(salt)),
        version: 1,
        provider: salt.is_multiple_of(7).then(|| provider_id(salt)),
    }
}

pub(crate) fn provider_id(number: u64) -> ProviderId {
    ProviderId::from_bytes(bytes(number))
}

pub(crate) fn resource(number: u64) -> String {
    format!("https://resource-{number}.example")
}

pub(crate) fn provider_name(number: u64) -> String {
    format!("name-{number}")
}

pub(crate) fn provider(of: u64, salt: u64) -> ProviderRow {
    ProviderRow {
        organization: organization_id(of),
        // Those of two organizations differ.
        provider: provider_id(of * 1_000 + salt % 3),
        settings: format!("{{\"salt\":{salt}}}"),
        sealed: bytes(salt).to_vec(),
        created_at: at(of),
        ended_at: salt.is_multiple_of(3).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn ticket(number: u64, secret: u64, salt: u64) -> TicketRow {
    TicketRow {
        ticket: ticket_id(number),
        secret: token("ticket", secret),
        purpose: "invitation".to_owned(),
        organization: number.is_multiple_of(2).then(|| organization_id(number % 2)),
        user: salt.is_multiple_of(2).then(|| user_id(salt)),
        role: salt.is_multiple_of(3).then_some(Role::Auditor),
        sealed: bytes(salt).to_vec(),
        created_at: at(number),
        expires_at: at(salt * 40),
        used_at: salt.is_multiple_of(5).then(|| at(salt)),
        version: 1,
    }
}

pub(crate) fn spend(number: u64, salt: u64) -> Spend {
    Spend { hash: digest("spend", number), expires_at: at(salt * 60) }
}

pub(crate) fn security(of: u64, number: u64) -> SecurityRow {
    let bytes = format!("{{\"event\":{number}}}").into_bytes();
    SecurityRow { event: security_event_id(number), tenant: tenant(of), bytes }
}

pub(crate) fn chain(of: u64, expected_seq: u64, count: u64, salt: u64) -> Chain {
    // A leaf id is random in earnest: those of two tenants differ.
    let events = (expected_seq..expected_seq + count).map(|seq| event(1_000 + of, seq, salt)).collect();
    Chain { tenant: tenant(of), expected_seq, events, taken: vec![] }
}

pub(crate) fn key_use(number: u64, salt: u64) -> KeyUse {
    KeyUse { key: api_key_id(number), at: at(salt), sealed_origin: bytes(salt).to_vec() }
}
