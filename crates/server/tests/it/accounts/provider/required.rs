//! What members granted to programs without the provider that they must come in through.

use countersign_core::{
    access::{Environment, Tenant},
    id::{GrantId, UserId},
    role::Role,
    scope::Scopes,
    secret::{PlainToken, TokenKind},
};
use countersign_store::{
    Batch,
    access_rows::{Change, GrantRow},
};

use super::{super::person::Person, BOB, Scene, bounds::invite};
use crate::oauth::{client::Client, flow, keys::ClientKey};

/// A program in the sandbox to which this person grants something.
async fn program(scene: &Scene, person: Person) -> flow::Scene<'_> {
    let key = ClientKey::new("robot");
    let registration = flow::registration("fapi2", &key, &Scopes::FOR_KEYS.to_string());
    let (test, organization) = (&scene.test, scene.organization);
    let client = Client::register_with(test, organization, Environment::Sandbox, key, &registration).await;
    flow::Scene { client, person, organization }
}

/// Two programs of Ada's, an owner: one that she let in in a session of her own, and one in a session of the provider.
struct Programs<'a> {
    scene: &'a Scene,
    ada: UserId,
    bob: Person,
    own: flow::Scene<'a>,
    through: flow::Scene<'a>,
    own_tokens: [String; 2],
    through_tokens: [String; 2],
}

impl<'a> Programs<'a> {
    async fn of(scene: &'a Scene) -> Self {
        let ada = scene.test.app.store.members(scene.organization).await.unwrap()[0].user;
        let link = invite(&scene.test, scene.organization, BOB, Role::Owner).await;
        let mut bob = Person::new(&scene.test, BOB);
        bob.welcome(&scene.test, &link).await;
        scene.connect(&scene.ada).await;
        let person = scene.ada.elsewhere(&scene.test);
        person.sign_in(&scene.test).await;
        let own = program(scene, person).await;
        let through = program(scene, scene.through().await).await;
        let tokens = own.redeem(&own.code().await).await;
        let own_tokens = [tokens.token(), tokens.body["refresh_token"].as_str().unwrap().to_owned()];
        let answered = through.redeem(&through.code().await).await;
        let through_tokens = [answered.token(), answered.body["refresh_token"].as_str().unwrap().to_owned()];
        Self { scene, ada, bob, own, through, own_tokens, through_tokens }
    }

    async fn give_ada(&self, role: &str) {
        let path = format!("/console/{}/live/members/{}/role", self.scene.organization, self.ada);
        let page = self.bob.form(&self.scene.test, &path, &[("role", role)]).await;
        assert!(page.text().await.unwrap().contains("The role was changed"));
    }

    /// Whether the tokens are taken: of the program let in by herself, and through the provider.
    async fn are_taken(&self) -> (bool, bool) {
        (self.own.is_taken(&self.own_tokens[0]).await, self.through.is_taken(&self.through_tokens[0]).await)
    }

    /// That what was granted without the provider has ended, is told, and is worth nothing.
    async fn check_ended(&self) {
        assert_eq!(self.are_taken().await, (false, true));
        assert_eq!(self.own.refresh(&self.own_tokens[1]).await.error(), (400, "invalid_grant"));
        self.scene.test.work().await;
        let sandbox = Tenant::of_stored_row(self.scene.organization, Environment::Sandbox);
        let events = self.scene.test.app.store.security_events(&sandbox, None, 1_000).await.unwrap();
        let events: Vec<String> =
            events.into_iter().map(|event| String::from_utf8(event.bytes).unwrap()).collect();
        let ended = events.iter().filter(|event| event.contains("\"provider_required\""));
        assert_eq!(ended.count(), 1, "{events:?}");
    }
}

/// who is an owner no more loses, in that very commit, what was granted without the provider that the others must come
/// in through; what was granted through it stays.
#[tokio::test]
async fn the_end_of_an_owner_ends_what_was_granted_without_the_provider() {
    let scene = Scene::start().await;
    let programs = Programs::of(&scene).await;
    scene.set(&[("required", "yes")]).await;
    assert_eq!(programs.are_taken().await, (true, true), "an owner is exempt");
    programs.give_ada("admin").await;
    programs.check_ended().await;
    scene.finish().await;
}

/// the same when the provider becomes required for a member; where it is not, nothing ends.
#[tokio::test]
async fn a_provider_that_becomes_required_ends_what_was_granted_without_it() {
    let scene = Scene::start().await;
    let programs = Programs::of(&scene).await;
    programs.give_ada("admin").await;
    assert_eq!(programs.are_taken().await, (true, true), "the provider is not required");
    let form = super::with(super::settings(scene.issuer.url()), &[("required", "yes"), ("domains", "")]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = programs.bob.form(&scene.test, &scene.path(), &form).await;
    assert!(page.text().await.unwrap().contains("The provider is set."));
    programs.check_ended().await;
    scene.finish().await;
}

/// what was granted at the very moment, and did not end with it, begins nothing.
#[tokio::test]
async fn a_code_that_was_given_without_the_provider_is_not_redeemed() {
    let scene = Scene::start().await;
    let programs = Programs::of(&scene).await;
    scene.set(&[("required", "yes")]).await;
    let (own, through) = (programs.own.code().await, programs.through.code().await);
    programs.give_ada("admin").await;
    let code = PlainToken::parse(TokenKind::AuthorizationCode, &own).unwrap();
    let store = &scene.test.app.store;
    let (_, grant) = store.authorization_code(&code.hash()).await.unwrap().unwrap();
    assert!(grant.ended_at.is_some());
    let missed = GrantRow { ended_at: None, version: grant.version + 1, ..grant };
    store.commit(Batch { changes: vec![Change::Grant(missed)], ..Batch::default() }).await.unwrap();
    assert_eq!(programs.own.redeem(&own).await.error(), (400, "invalid_grant"));
    programs.through.redeem(&through).await.token();
    scene.finish().await;
}

/// Makes a grant that ended go on, as if it had been given in the moment of that end.
async fn revive(scene: &Scene, user: UserId) -> GrantId {
    let (store, sandbox) =
        (&scene.test.app.store, Tenant::of_stored_row(scene.organization, Environment::Sandbox));
    let grants = store.grants(&sandbox, None, Some(user), None, 10).await.unwrap();
    let ended = grants.into_iter().find(|row| row.ended_at.is_some()).unwrap();
    let missed = GrantRow { ended_at: None, version: ended.version + 1, ..ended };
    let grant = missed.grant;
    store.commit(Batch { changes: vec![Change::Grant(missed)], ..Batch::default() }).await.unwrap();
    grant
}

/// a grant that was missed goes on for no refresh; one of the provider does, also when its session is long forgotten.
#[tokio::test]
async fn a_refresh_asks_for_the_provider_and_not_for_its_session() {
    let scene = Scene::start().await;
    let programs = Programs::of(&scene).await;
    scene.set(&[("required", "yes")]).await;
    programs.give_ada("admin").await;
    let missed = revive(&scene, programs.ada).await;
    assert_eq!(programs.own.refresh(&programs.own_tokens[1]).await.error(), (400, "invalid_grant"));
    let store = &scene.test.app.store;
    assert!(
        store.grant(missed).await.unwrap().unwrap().ended_at.is_none(),
        "it was not the end that refused it"
    );

    scene.test.clock.forward_s(3 * 24 * 3_600);
    store.sweep(scene.test.app.now()).await.unwrap();
    assert!(store.sign_ins(programs.ada).await.unwrap().is_empty(), "the sessions are forgotten");
    programs.through.refresh(&programs.through_tokens[1]).await.token();
    scene.finish().await;
}
