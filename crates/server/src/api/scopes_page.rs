//! `docs/scopes.md`: which route needs which scope, what each allows in words, and what each role has of it.
//! All of it comes from the tables that decide.

use std::fmt::Write as _;

use countersign_core::{
    access::{Environment, Operation},
    role::Role,
    scope::{Scope, Scopes},
};

use super::ENDPOINTS;

/// The page.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Scopes\n\nGenerated from the code: `crates/core/src/scope.rs`, `access.rs` and `role.rs`. Each route needs exactly one \
         scope. What a token may do is what its client, its grant, the role of the member behind it and its environment \
         all allow, judged when it is issued and again at each use.\n\nAdmin scopes are for clients of the FAPI 2.0 profile \
         and for members in person, never for API keys, and their tokens live five minutes. A dagger marks what a person, \
         in person or through a client, must have signed in for with two factors in the last ten minutes.\n\n\
         | scope | a credential with it may | API key | routes |\n|---|---|---|---|\n",
    );
    for scope in Scope::ALL {
        let routes: Vec<String> = ENDPOINTS
            .iter()
            .filter(|endpoint| endpoint.operation.scope() == *scope)
            .map(|endpoint| {
                let dagger = if endpoint.operation.step_up().is_some() { " †" } else { "" };
                format!("`{} {}`{dagger}", endpoint.method.text(), endpoint.path)
            })
            .collect();
        let key = if Scopes::FOR_KEYS.has(*scope) { "yes" } else { "no" };
        // Writing into a string cannot fail.
        let _ =
            writeln!(text, "| `{}` | {} | {key} | {} |", scope.text(), scope.words(), routes.join("<br>"));
    }
    text.push_str("\n## Roles\n\n| role | it |\n|---|---|\n");
    for role in Role::ALL {
        let _ = writeln!(text, "| `{}` | {} |", role.text(), role.words());
    }
    text.push_str("\nThe most that a member may do, by itself or through a client:\n\n| scope |");
    for role in Role::ALL {
        let _ = write!(text, " {} |", role.text());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(Role::ALL.len()));
    text.push('\n');
    for scope in Scope::ALL {
        let _ = write!(text, "| `{}` |", scope.text());
        for role in Role::ALL {
            let has = |environment: Environment| role.ceiling(environment).has(*scope);
            let word = match (has(Environment::Sandbox), has(Environment::Live)) {
                (true, true) => "yes",
                (true, false) => "sandbox",
                (false, true) => "live",
                (false, false) => "",
            };
            let _ = write!(text, " {word} |");
        }
        text.push('\n');
    }
    text
}

/// Operations that no route of the API has yet: members do them in person.
pub fn without_route() -> Vec<Operation> {
    let has_route = |operation: &Operation| ENDPOINTS.iter().any(|endpoint| endpoint.operation == *operation);
    Operation::ALL.iter().copied().filter(|operation| !has_route(operation)).collect()
}
