//! The ID token of a grant: who signed in, for the client that asked with `openid`.

use countersign_core::{
    oauth::{
        id_token::{self, IdToken},
        terms::Terms,
    },
    secret::Secret,
};
use countersign_store::access_rows::GrantRow;

use super::signing::SIGNS_WITH;
use crate::{app::App, fault::Fault};

/// Makes and signs it, for the access token that it comes with.
pub async fn make(
    app: &App,
    grant: &GrantRow,
    terms: &Terms,
    access_token: &Secret<String>,
) -> Result<String, Fault> {
    let [algorithm, _] = SIGNS_WITH;
    let (Some(user), Some(authenticated)) = (grant.user, grant.authenticated) else {
        return Err(Fault::Missing("the person of a grant with openid".to_owned()));
    };
    let token = IdToken {
        issuer: &app.oauth.issuer,
        client: grant.client,
        user,
        nonce: terms.nonce.as_deref(),
        authenticated,
        methods: &terms.methods,
        access_token: access_token.expose(),
        algorithm,
    };
    app.oauth.keys.sign(app, id_token::TYPE, &id_token::claims(&token, app.now())).await
}
