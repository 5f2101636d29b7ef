//! Who may give whom which role, and take it away: nobody more than they have themselves, and an organization is never left
//! without an owner.

use crate::{
    access::{Environment, Identity, Principal},
    id::UserId,
    refusal::{Code, Refusal},
    role::Role,
};

/// Refuses to let `principal` give this role to somebody, or take it away. Owners are made and ended by owners in person,
/// in a session that they opened with something of their own: admins set the provider, and who runs it opens what it opens. A
/// program gives no role that may do more in live than itself; whoever is a member is so in both environments, so that one
/// of the sandbox gives none.
pub fn check_power(principal: &Principal, role: Role) -> Result<(), Refusal> {
    let refused = |sentence: String| Err(Refusal::at(Code::Invalid, "/role", sentence));
    let by = match principal.identity() {
        Identity::Member(member) if member.is_through_provider => member.member.role.max(Role::Admin),
        Identity::Member(member) => member.member.role,
        Identity::Client(client) => {
            if principal.tenant().environment() != Environment::Live {
                return refused(
                    "members have powers in live: a client of the sandbox gives and takes none; use one of live, or the \
                     console"
                        .to_owned(),
                );
            }
            if !role.ceiling(Environment::Live).is_within(client.client_ceiling) {
                return refused(format!(
                    "the role `{}` may do more than this client: it gives and takes no more than it has",
                    role.text()
                ));
            }
            // Nobody is an owner through a program.
            client.member.map_or(Role::Admin, |member| member.role.max(Role::Admin))
        }
        Identity::ApiKey { .. } | Identity::Signer { .. } => return Err(Refusal::not_found()),
    };
    if by.may_give(role) {
        return Ok(());
    }
    match role {
        Role::Owner => refused(
            "only an owner makes and ends owners, in person on the console, signed in with a passkey or a password and not \
             through the organization's provider"
                .to_owned(),
        ),
        _ => refused(format!("a member with the role `{}` gives and takes none", by.text())),
    }
}

/// The roles that `principal` may give.
pub fn may_give(principal: &Principal) -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| check_power(principal, *role).is_ok())
}

/// Another owner, when `leaving` stops being one: `first` if that is an owner. Whoever commits this must see to it that this
/// one stays as it was read, so that of two owners who end each other at the same moment one remains.
pub fn remaining_owner(
    owners: impl IntoIterator<Item = UserId>,
    leaving: UserId,
    first: Option<UserId>,
) -> Result<UserId, Refusal> {
    let others: Vec<UserId> = owners.into_iter().filter(|owner| *owner != leaving).collect();
    let preferred = first.filter(|first| others.contains(first));
    preferred.or_else(|| others.first().copied()).ok_or_else(|| {
        Refusal::new(Code::Invalid, "this is the last owner: make somebody else an owner first")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Behind, ClientIdentity, MemberIdentity, Tenant},
        id::{ApiKeyId, ClientId, GrantId, OrganizationId, PersonId, SignInId},
        level::Level,
        scope::{Scope, Scopes},
        time::Time,
    };

    fn behind(role: Role) -> Behind {
        let user = UserId::from_bytes([5; 16]);
        Behind { user, role, level: Level::Aal2, authenticated_at: Time::from_unix_ms(0) }
    }

    fn in_person(role: Role, environment: Environment) -> Principal {
        in_session(role, environment, false)
    }

    fn in_session(role: Role, environment: Environment, is_through_provider: bool) -> Principal {
        let identity = Identity::Member(MemberIdentity {
            sign_in: SignInId::from_bytes([1; 16]),
            person: PersonId::from_bytes([2; 16]),
            member: behind(role),
            is_through_provider,
        });
        Principal::authenticated(
            Tenant::of_stored_row(OrganizationId::from_bytes([1; 16]), environment),
            identity,
        )
    }

    fn client(ceiling: Scopes, role: Option<Role>, environment: Environment) -> Principal {
        let identity = Identity::Client(ClientIdentity {
            client: ClientId::from_bytes([1; 16]),
            person: PersonId::from_bytes([2; 16]),
            grant: GrantId::from_bytes([3; 16]),
            member: role.map(behind),
            scopes: Scopes::of(&[Scope::AdminMembers]),
            client_ceiling: ceiling,
            details: Vec::new(),
            expires_at: Time::from_unix_ms(1_000),
        });
        Principal::authenticated(
            Tenant::of_stored_row(OrganizationId::from_bytes([1; 16]), environment),
            identity,
        )
    }

    /// in a session that a provider opened an owner is no more than an admin.
    #[test]
    fn nobody_makes_owners_through_a_provider() {
        for (role, most) in
            [(Role::Owner, &Role::ALL[1..]), (Role::Admin, &Role::ALL[1..]), (Role::Sender, &[])]
        {
            let through = in_session(role, Environment::Live, true);
            assert_eq!(may_give(&through).collect::<Vec<_>>(), most, "{role:?}");
        }
    }

    /// an owner gives every role, an admin every one but owner, the others none.
    #[test]
    fn a_person_gives_no_role_above_its_own() {
        let given = |role| may_give(&in_person(role, Environment::Live)).collect::<Vec<_>>();
        assert_eq!(given(Role::Owner), Role::ALL);
        assert_eq!(given(Role::Admin), Role::ALL[1..]);
        for role in &Role::ALL[2..] {
            assert_eq!(given(*role), [], "{role:?}");
        }
    }

    /// a program gives what it may do itself, in live, and never makes an owner, whoever is behind it.
    #[test]
    fn a_program_gives_no_role_that_may_do_more_than_itself() {
        let given = |principal: &Principal| may_give(principal).collect::<Vec<_>>();
        let live = Environment::Live;
        assert_eq!(given(&client(Scopes::ALL, Some(Role::Owner), live)), Role::ALL[1..]);
        assert_eq!(given(&client(Scopes::ALL, None, live)), Role::ALL[1..]);
        let reviewer = Role::Reviewer.ceiling(live).or(Scopes::of(&[Scope::AdminMembers]));
        assert_eq!(given(&client(reviewer, None, live)), [Role::Reviewer]);
        assert_eq!(given(&client(Scopes::of(&[Scope::AdminMembers]), Some(Role::Owner), live)), []);
        assert_eq!(given(&client(Scopes::ALL, Some(Role::Owner), Environment::Sandbox)), []);
        let key = Identity::ApiKey {
            key: ApiKeyId::from_bytes([1; 16]),
            person: PersonId::from_bytes([2; 16]),
            scopes: Scopes::ALL,
            expires_at: Time::from_unix_ms(1_000),
        };
        let tenant = Tenant::of_stored_row(OrganizationId::from_bytes([1; 16]), live);
        assert_eq!(given(&Principal::authenticated(tenant, key)), []);
    }

    /// the last owner stays one; of several, whoever acts vouches for it.
    #[test]
    fn the_last_owner_stays() {
        let id = |byte| UserId::from_bytes([byte; 16]);
        assert_eq!(remaining_owner([id(1)], id(1), Some(id(1))).unwrap_err().code, Code::Invalid);
        assert_eq!(remaining_owner([id(1), id(2), id(3)], id(1), Some(id(3))), Ok(id(3)));
        assert_eq!(remaining_owner([id(1), id(2)], id(1), Some(id(1))), Ok(id(2)));
        assert_eq!(remaining_owner([id(1), id(2)], id(1), Some(id(9))), Ok(id(2)));
    }
}
