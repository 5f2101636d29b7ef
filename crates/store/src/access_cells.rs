//! Reads the rows of credentials and people, as `cells` does for the others.

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, GrantId, OrganizationId, PersonId, ProviderId, SecurityEventId,
        SignInId, TicketId, UserId,
    },
    level::Level,
    role::Role,
    secret::HashedToken,
    time::Time,
};

use crate::{
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Binding, ClientRow, GrantRow, GrantView,
        MemberRow, ProviderRow, PushedRequestRow, SecurityRow, SignInRow, TicketRow, TokenView, UserRow,
    },
    cells::Cells,
    fault::Fault,
    rows::ApiKeyRow,
};

/// How a binding is kept: its kind and its digest.
pub(crate) fn binding_columns(binding: Option<&Binding>) -> (Option<&'static str>, Option<[u8; 32]>) {
    match binding {
        None => (None, None),
        Some(Binding::Key(digest)) => (Some("key"), Some(digest.0)),
        Some(Binding::Certificate(digest)) => (Some("certificate"), Some(digest.0)),
    }
}

/// How the networks of an API key are kept.
pub(crate) fn networks_column(networks: &[String]) -> String {
    networks.join(" ")
}

fn token(cells: &impl Cells, column: &'static str) -> Result<HashedToken, Fault> {
    Ok(HashedToken::from_bytes(cells.fixed(column)?))
}

fn optional_time(cells: &impl Cells, column: &'static str) -> Result<Option<Time>, Fault> {
    Ok(cells.optional_number(column)?.map(Time::from_unix_ms))
}

fn grant_id(cells: &impl Cells) -> Result<GrantId, Fault> {
    Ok(GrantId::from_bytes(cells.fixed("grant_id")?))
}

fn user_id(cells: &impl Cells) -> Result<UserId, Fault> {
    Ok(UserId::from_bytes(cells.fixed("user_id")?))
}

fn optional_level(cells: &impl Cells) -> Result<Option<(Level, Time)>, Fault> {
    let Some(text) = cells.optional_text("level")? else { return Ok(None) };
    let level = Level::parse(&text).ok_or_else(|| cells.corrupt("level", "it is no level"))?;
    Ok(Some((level, cells.time("authenticated_at")?)))
}

fn optional_role(cells: &impl Cells) -> Result<Option<Role>, Fault> {
    let Some(text) = cells.optional_text("role")? else { return Ok(None) };
    Role::parse(&text).map(Some).ok_or_else(|| cells.corrupt("role", "it is no role"))
}

/// An API key.
pub(crate) fn api_key(cells: &impl Cells) -> Result<ApiKeyRow, Fault> {
    let used = match optional_time(cells, "used_at")? {
        None => None,
        Some(at) => Some((at, cells.bytes("used_origin")?)),
    };
    Ok(ApiKeyRow {
        tenant: cells.tenant()?,
        key: ApiKeyId::from_bytes(cells.fixed("api_key")?),
        hash: token(cells, "hash")?,
        scopes: cells.scopes()?,
        person: PersonId::from_bytes(cells.fixed("person")?),
        label: cells.text("label")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        networks: cells.text("networks")?.split_whitespace().map(str::to_owned).collect(),
        replaces: cells.optional_fixed("replaces")?.map(ApiKeyId::from_bytes),
        used,
        warned_days: cells.optional_number("warned_days")?,
        created_by: cells.optional_fixed("created_by")?.map(UserId::from_bytes),
        version: cells.number("version")?,
    })
}

/// A client.
pub(crate) fn client(cells: &impl Cells) -> Result<ClientRow, Fault> {
    Ok(ClientRow {
        tenant: cells.tenant()?,
        client: ClientId::from_bytes(cells.fixed("client")?),
        is_fapi: cells.flag("is_fapi")?,
        scopes: cells.scopes()?,
        person: PersonId::from_bytes(cells.fixed("person")?),
        registration: cells.text("registration")?,
        secret: cells.optional_fixed("secret")?.map(HashedToken::from_bytes),
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A grant.
pub(crate) fn grant(cells: &impl Cells) -> Result<GrantRow, Fault> {
    Ok(GrantRow {
        tenant: cells.tenant()?,
        grant: grant_id(cells)?,
        client: ClientId::from_bytes(cells.fixed("client")?),
        user: cells.optional_fixed("user_id")?.map(UserId::from_bytes),
        sign_in: cells.optional_fixed("sign_in")?.map(SignInId::from_bytes),
        scopes: cells.scopes()?,
        terms: cells.text("terms")?,
        authenticated: optional_level(cells)?,
        binding: cells.optional_fixed("binding")?.map(Digest),
        generation: cells.number("generation")?,
        retry_of: cells.optional_number("retry_of")?,
        rotated_at: cells.time("rotated_at")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// An access token.
pub(crate) fn access_token(cells: &impl Cells) -> Result<AccessTokenRow, Fault> {
    let binding = match cells.optional_text("binding_kind")?.as_deref() {
        None => None,
        Some("key") => Some(Binding::Key(cells.digest("binding")?)),
        Some("certificate") => Some(Binding::Certificate(cells.digest("binding")?)),
        Some(_) => return Err(cells.corrupt("binding_kind", "it is no kind of binding")),
    };
    Ok(AccessTokenRow {
        hash: token(cells, "hash")?,
        grant: grant_id(cells)?,
        generation: cells.number("generation")?,
        scopes: cells.scopes()?,
        audience: cells.optional_text("audience")?,
        binding,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        seen_at: optional_time(cells, "seen_at")?,
    })
}

/// An access token with all that it hangs on.
pub(crate) fn token_view(cells: &impl Cells) -> Result<TokenView, Fault> {
    let GrantView { grant, sign_in_ended, user_valid_from, member } = grant_view(cells)?;
    Ok(TokenView {
        token: access_token(&cells.part("access_tokens"))?,
        client: client(&cells.part("clients"))?,
        sign_in_ended,
        user_valid_from,
        member,
        grant,
    })
}

/// A grant with the people that it hangs on. A session that is not there any more had expired: if somebody had ended it, the
/// sweep would have ended the grant, too.
pub(crate) fn grant_view(cells: &impl Cells) -> Result<GrantView, Fault> {
    let grant = grant(&cells.part("grants"))?;
    let (user, member) = (cells.part("users"), cells.part("members"));
    let user_is_there = user.optional_fixed::<16>("user_id")?.is_some();
    let user_has_ended = optional_time(&user, "ended_at")?.is_some();
    let member_is_there = member.optional_fixed::<16>("user_id")?.is_some();
    Ok(GrantView {
        sign_in_ended: grant.sign_in.is_some()
            && optional_time(&cells.part("sign_ins"), "ended_at")?.is_some(),
        user_valid_from: if user_is_there && !user_has_ended { Some(user.time("valid_from")?) } else { None },
        member: if member_is_there { Some(self::member(&member)?) } else { None },
        grant,
    })
}

/// An authorization code.
pub(crate) fn authorization_code(cells: &impl Cells) -> Result<AuthorizationCodeRow, Fault> {
    Ok(AuthorizationCodeRow {
        hash: token(cells, "hash")?,
        grant: grant_id(cells)?,
        request: cells.text("request")?,
        expires_at: cells.time("expires_at")?,
        used_at: optional_time(cells, "used_at")?,
        version: cells.number("version")?,
    })
}

/// An authorization code with its grant.
pub(crate) fn code_and_grant(cells: &impl Cells) -> Result<(AuthorizationCodeRow, GrantRow), Fault> {
    Ok((authorization_code(&cells.part("authorization_codes"))?, grant(&cells.part("grants"))?))
}

/// An authorization request.
pub(crate) fn pushed_request(cells: &impl Cells) -> Result<PushedRequestRow, Fault> {
    Ok(PushedRequestRow {
        hash: token(cells, "hash")?,
        tenant: cells.tenant()?,
        client: ClientId::from_bytes(cells.fixed("client")?),
        request: cells.text("request")?,
        browser: cells.optional_fixed("browser")?.map(Digest),
        expires_at: cells.time("expires_at")?,
        used_at: optional_time(cells, "used_at")?,
        version: cells.number("version")?,
    })
}

/// A user.
pub(crate) fn user(cells: &impl Cells) -> Result<UserRow, Fault> {
    Ok(UserRow {
        user: user_id(cells)?,
        lookup: cells.digest("lookup")?,
        wrapped_key: cells.bytes("wrapped_key")?,
        sealed_profile: cells.bytes("sealed_profile")?,
        sealed_password: cells.optional_bytes("sealed_password")?,
        failures: cells.text("failures")?,
        valid_from: cells.time("valid_from")?,
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A member.
pub(crate) fn member(cells: &impl Cells) -> Result<MemberRow, Fault> {
    let person = |column| cells.fixed(column).map(PersonId::from_bytes);
    Ok(MemberRow {
        organization: OrganizationId::from_bytes(cells.fixed("organization")?),
        user: user_id(cells)?,
        role: optional_role(cells)?.ok_or_else(|| cells.corrupt("role", "it is NULL"))?,
        persons: (person("sandbox_person")?, person("live_person")?),
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// An authenticator.
pub(crate) fn authenticator(cells: &impl Cells) -> Result<AuthenticatorRow, Fault> {
    Ok(AuthenticatorRow {
        authenticator: AuthenticatorId::from_bytes(cells.fixed("authenticator")?),
        user: user_id(cells)?,
        kind: cells.text("kind")?,
        lookup: cells.optional_fixed("lookup")?.map(Digest),
        sealed: cells.bytes("sealed")?,
        counter: cells.number("counter")?,
        created_at: cells.time("created_at")?,
        used_at: optional_time(cells, "used_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A session on the console.
pub(crate) fn sign_in(cells: &impl Cells) -> Result<SignInRow, Fault> {
    let environment = cells.optional_text("environment")?;
    let tenant = match (cells.optional_fixed("organization")?, environment) {
        (None, None) => None,
        (Some(organization), Some(text)) => {
            let environment = Environment::parse(&text)
                .ok_or_else(|| cells.corrupt("environment", "it is no environment"))?;
            Some(Tenant::of_stored_row(OrganizationId::from_bytes(organization), environment))
        }
        _ => return Err(cells.corrupt("environment", "it is there without the organization, or missing")),
    };
    Ok(SignInRow {
        sign_in: SignInId::from_bytes(cells.fixed("sign_in")?),
        user: user_id(cells)?,
        cookie: token(cells, "cookie")?,
        tenant,
        authenticated: optional_level(cells)?.ok_or_else(|| cells.corrupt("level", "it is NULL"))?,
        sealed_origin: cells.bytes("sealed_origin")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
        provider: cells.optional_fixed("provider")?.map(ProviderId::from_bytes),
    })
}

/// An OpenID provider.
pub(crate) fn provider(cells: &impl Cells) -> Result<ProviderRow, Fault> {
    Ok(ProviderRow {
        organization: OrganizationId::from_bytes(cells.fixed("organization")?),
        provider: ProviderId::from_bytes(cells.fixed("provider")?),
        settings: cells.text("settings")?,
        sealed: cells.bytes("sealed")?,
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A session on the console with its user.
pub(crate) fn sign_in_and_user(cells: &impl Cells) -> Result<(SignInRow, UserRow), Fault> {
    Ok((sign_in(&cells.part("sign_ins"))?, user(&cells.part("users"))?))
}

/// A one-time link.
pub(crate) fn ticket(cells: &impl Cells) -> Result<TicketRow, Fault> {
    Ok(TicketRow {
        ticket: TicketId::from_bytes(cells.fixed("ticket")?),
        secret: token(cells, "secret")?,
        purpose: cells.text("purpose")?,
        organization: cells.optional_fixed("organization")?.map(OrganizationId::from_bytes),
        user: cells.optional_fixed("user_id")?.map(UserId::from_bytes),
        role: optional_role(cells)?,
        sealed: cells.bytes("sealed")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        used_at: optional_time(cells, "used_at")?,
        version: cells.number("version")?,
    })
}

/// A security event that waits.
pub(crate) fn security(cells: &impl Cells) -> Result<SecurityRow, Fault> {
    Ok(SecurityRow {
        event: SecurityEventId::from_bytes(cells.fixed("event")?),
        tenant: cells.tenant()?,
        bytes: cells.bytes("bytes")?,
    })
}
