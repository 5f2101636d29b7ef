//! Recipients who are identified by more than their mailbox: passkeys, access codes, and the level that an envelope asks
//! for (S-3, E-7, E-8).

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, challenge_of_act,
        command::{ActorNow, NewRecipient, Submission},
        event::{Factor, FieldKind, Role},
        fields::check_access_code,
        passkey::{Assertion, Bytes, Purpose, Registration, challenge},
        state::RecipientStatus,
    },
    id::{RecipientId, SessionId},
    level::Level,
    refusal::{Code, Refusal},
    secret::Secret,
};

use crate::world::{World, code, field, new_envelope, origin, personal, recipient, toy_signature, types};

const ORIGIN: &str = "https://sign.example.com";
const X: [u8; 32] = [7; 32];
const GOOD_FLAGS: u8 = 0x05;

/// An authenticator in a browser, which can be told to do each thing wrong.
#[derive(Clone)]
struct Authenticator {
    credential: Vec<u8>,
    x: [u8; 32],
    origin: &'static str,
    relying_party: &'static str,
    flags: u8,
    count: u32,
    kind: &'static str,
    more: &'static str,
}

impl Authenticator {
    fn new() -> Self {
        Self {
            credential: vec![9; 16],
            x: X,
            origin: ORIGIN,
            relying_party: "sign.example.com",
            flags: GOOD_FLAGS,
            count: 1,
            kind: "webauthn.get",
            more: r#","crossOrigin":false"#,
        }
    }

    fn client(&self, kind: &str, challenge: Digest) -> Bytes {
        let (challenge, origin, more) = (Bytes(challenge.0.to_vec()), self.origin, self.more);
        Bytes(
            format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"{more}}}"#)
                .into_bytes(),
        )
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let mut head = Digest::of(self.relying_party.as_bytes()).0.to_vec();
        head.push(flags);
        head.extend(self.count.to_be_bytes());
        head
    }

    fn registration(&self, challenge: Digest) -> Registration {
        let mut data = self.head(self.flags | 0x40);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend(&self.credential);
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20]);
        data.extend(self.x);
        data.extend([0x22, 0x58, 0x20]);
        data.extend([8; 32]);
        let kind = if self.kind == "webauthn.get" { "webauthn.create" } else { self.kind };
        Registration { authenticator_data: Bytes(data), client_data_json: self.client(kind, challenge) }
    }

    fn assertion(&self, challenge: Digest) -> Assertion {
        let (data, client) = (self.head(self.flags), self.client(self.kind, challenge));
        let message = [data.as_slice(), &Digest::of(&client.0).0].concat();
        Assertion {
            credential: Bytes(self.credential.clone()),
            authenticator_data: Bytes(data),
            client_data_json: client,
            signature: Bytes(toy_signature(&self.x, &message)),
        }
    }
}

fn by_passkey(role: Role) -> NewRecipient {
    NewRecipient { factor: Factor::Passkey, ..recipient(1, role, 1) }
}

fn sent() -> (World, RecipientId) {
    let fields = vec![
        field(0, FieldKind::Signature, true),
        field(0, FieldKind::Text { max_chars: 20, multiline: false }, false),
    ];
    let world = World::sent(vec![by_passkey(Role::Signer)], fields);
    let signer = world.recipient(0);
    (world, signer)
}

fn asked(purpose: Purpose, signer: RecipientId, session: SessionId) -> Digest {
    challenge(purpose, World::envelope(), signer, session)
}

impl World {
    fn register(&mut self, signer: RecipientId, session: SessionId, with: &Authenticator) -> Answer {
        let registration = with.registration(asked(Purpose::Register, signer, session));
        let origin = ORIGIN.to_owned();
        self.by(
            signer,
            session,
            Command::RegisterPasskey { recipient: signer, session, origin, registration },
        )
    }

    fn identify(&mut self, signer: RecipientId, session: SessionId, with: &Authenticator) -> Answer {
        let assertion = with.assertion(asked(Purpose::Identify, signer, session));
        self.by(signer, session, Command::UsePasskey { recipient: signer, session, assertion })
    }

    /// A session in which a passkey was made and used, consent given, and the documents opened.
    fn at_passkey_act(&mut self, signer: RecipientId, with: &mut Authenticator) -> SessionId {
        let session = self.identified(signer);
        self.register(signer, session, with).unwrap();
        with.count += 1;
        self.identify(signer, session, with).unwrap();
        with.count += 1;
        self.consent(signer, session).unwrap();
        self.open_documents(signer, session).unwrap();
        session
    }

    fn act_challenge(&mut self, signer: RecipientId, submission: &Submission) -> Result<Digest, Refusal> {
        let actor = ActorNow::Recipient { recipient: signer, session: submission.session, origin: origin() };
        let context = self.context(actor);
        challenge_of_act(World::envelope(), &self.folded, signer, submission.clone(), &context)
    }

    fn act_to_sign(&mut self, signer: RecipientId, session: SessionId) -> Submission {
        let salts = Some(Secret::new(self.roll()));
        Submission { salts, ..self.submission(signer, session) }
    }
}

type Fault = fn(&mut Authenticator);
type Answer = Result<Vec<Body>, Refusal>;

/// S-3: a passkey is made after link and mailed code, used at once and in every later session, and counts from then on.
#[test]
fn a_passkey_is_made_once_and_used_from_then_on() {
    let (mut world, signer) = sent();
    let mut passkey = Authenticator::new();
    let session = world.open_session(signer).unwrap();
    assert_eq!(code(world.register(signer, session, &passkey)), Code::FactorMissing, "not by the link alone");
    let mailed = world.issue_code(signer, session).unwrap();
    world.try_code(signer, session, mailed, true).unwrap();
    assert_eq!(code(world.consent(signer, session)), Code::FactorMissing, "the mailed code is not enough");
    assert_eq!(code(world.identify(signer, session, &passkey)), Code::FactorMissing, "there is none yet");
    assert_eq!(types(&world.register(signer, session, &passkey).unwrap()), ["passkey.registered"]);
    assert_eq!(code(world.register(signer, session, &passkey)), Code::WrongState, "one is enough");
    assert_eq!(code(world.consent(signer, session)), Code::FactorMissing, "it was made, not used");
    passkey.count = 2;
    assert_eq!(types(&world.identify(signer, session, &passkey).unwrap()), ["factor.passed"]);
    assert_eq!(world.identify(signer, session, &passkey).unwrap(), [], "a double click changes nothing");
    world.consent(signer, session).unwrap();

    world.by_sender(Command::Resend { recipient: None }).unwrap();
    let later = world.open_session(signer).unwrap();
    assert_eq!(code(world.consent(signer, later)), Code::FactorMissing);
    passkey.count = 3;
    world.identify(signer, later, &passkey).unwrap();
    world.consent(signer, later).unwrap();
    assert_eq!(world.refolded(), world.folded);
}

/// E-7: the assertion answers the hash of the act as it is recorded, and signs it.
#[test]
fn the_assertion_is_over_the_act_as_it_is_recorded() {
    let (mut world, signer) = sent();
    let mut passkey = Authenticator::new();
    let session = world.at_passkey_act(signer, &mut passkey);
    let submission = world.act_to_sign(signer, session);
    let challenge = world.act_challenge(signer, &submission).unwrap();
    assert_eq!(world.act_challenge(signer, &submission).unwrap(), challenge, "the same again");
    let bare = world.submit(signer, submission.clone());
    assert_eq!(code(bare), Code::PasskeyRefused, "an act without an assertion");
    let assertion = Some(passkey.assertion(challenge));
    let signed = world.submit(signer, Submission { assertion: assertion.clone(), ..submission.clone() });
    let signed = signed.unwrap();
    let [Body::SignatureAdopted { mark, .. }, Body::Signed(act), Body::SealingStarted { .. }] =
        signed.as_slice()
    else {
        panic!("signed")
    };
    assert_eq!((act.challenge(), &act.assertion), (challenge, &assertion));
    assert_eq!(act.mark.as_ref(), Some(mark), "the mark is signed too");
    let again = world.submit(signer, Submission { assertion, ..submission });
    assert_eq!(again.unwrap(), [], "a lost answer is given again");
    assert_eq!(world.refolded(), world.folded);
}

/// E-7: whatever of an act is changed after the passkey has signed it, the act is refused.
#[test]
fn an_act_that_was_changed_after_the_passkey_signed_it_is_refused() {
    let (mut world, signer) = sent();
    let mut passkey = Authenticator::new();
    let session = world.at_passkey_act(signer, &mut passkey);
    let text = world.contents().fields[1].id;
    let mut submission = world.act_to_sign(signer, session);
    submission.values = vec![(text, personal("12 cats"))];
    let challenge = world.act_challenge(signer, &submission).unwrap();
    submission.assertion = Some(passkey.assertion(challenge));
    let changes: [fn(&mut Submission); 4] = [
        |submission| submission.values[0].1 = personal("13 cats"),
        |submission| submission.values.clear(),
        |submission| submission.nonce = Digest::of(b"another page"),
        |submission| submission.adopted.as_mut().unwrap().1 = personal("Somebody else"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = submission.clone();
        change(&mut changed);
        let refused = world.submit(signer, changed).unwrap_err();
        assert_eq!(refused.code, Code::PasskeyRefused, "change {number}");
        assert!(refused.sentence.contains("has changed since"), "{refused}");
    }
    world.submit(signer, submission).unwrap();
}

/// Web Authentication Level 3 §7.2: each thing that an assertion must be, and what the person is told.
#[test]
fn every_wrong_answer_of_a_passkey_is_refused_in_words() {
    let wrong: [(&str, Fault); 11] = [
        ("another site", |with| with.origin = "https://sign.example.com.evil.test"),
        ("another site", |with| with.origin = "http://sign.example.com"),
        ("belongs to another site", |with| with.relying_party = "example.com"),
        ("inside a page", |with| with.more = r#","crossOrigin":true"#),
        ("inside a page", |with| with.more = r#","topOrigin":"https://evil.test""#),
        ("cannot be read", |with| with.more = r#","origin":"https://sign.example.com""#),
        ("without you being there", |with| with.flags = 0x04),
        ("check that it is you", |with| with.flags = 0x01),
        ("contradicts itself", |with| with.flags = GOOD_FLAGS | 0x10),
        ("cannot be read", |with| with.flags = GOOD_FLAGS | 0x80),
        ("another question", |with| with.kind = "webauthn.other"),
    ];
    for (words, change) in wrong {
        let (mut world, signer) = sent();
        let mut passkey = Authenticator::new();
        let session = world.identified(signer);
        let mut changed = passkey.clone();
        change(&mut changed);
        let refused = world.register(signer, session, &changed).unwrap_err();
        assert!(refused.code == Code::PasskeyRefused && refused.sentence.contains(words), "{refused}");
        world.register(signer, session, &passkey).unwrap();
        passkey.count = 2;
        changed.count = 2;
        let refused = world.identify(signer, session, &changed).unwrap_err();
        assert!(refused.code == Code::PasskeyRefused && refused.sentence.contains(words), "{refused}");
        world.identify(signer, session, &passkey).unwrap();
    }
}

/// S-3: another key, another credential, another session's answer and a bent signature do not pass.
#[test]
fn only_the_registered_passkey_passes_and_only_in_the_session_that_asked() {
    let (mut world, signer) = sent();
    let passkey = Authenticator { count: 0, ..Authenticator::new() };
    let session = world.identified(signer);
    world.register(signer, session, &passkey).unwrap();
    let told = |answer: Answer| answer.unwrap_err().sentence;
    let other_key = Authenticator { x: [6; 32], ..passkey.clone() };
    assert!(told(world.identify(signer, session, &other_key)).contains("signature is not right"));
    let other = Authenticator { credential: vec![1; 16], ..passkey.clone() };
    assert!(told(world.identify(signer, session, &other)).contains("another passkey"));
    let synced = Authenticator { flags: GOOD_FLAGS | 0x08, ..passkey.clone() };
    assert!(told(world.identify(signer, session, &synced)).contains("contradicts itself"));

    let replayed = passkey.assertion(asked(Purpose::Identify, signer, session));
    world.identify(signer, session, &passkey).unwrap();
    let later = world.open_session(signer).unwrap();
    let command = Command::UsePasskey { recipient: signer, session: later, assertion: replayed };
    assert!(told(world.by(signer, later, command)).contains("an earlier question"));
    world.identify(signer, later, &passkey).unwrap();
}

/// E-7: a counter that does not grow is recorded, locks, and costs the passkey; the sender sends again, and the recipient
/// makes another one after another mailed code.
#[test]
fn a_passkey_that_may_be_a_copy_locks_until_the_sender_sends_again() {
    let (mut world, signer) = sent();
    let mut passkey = Authenticator { count: 5, ..Authenticator::new() };
    let session = world.at_passkey_act(signer, &mut passkey);
    let copied = Authenticator { count: 6, ..passkey.clone() };
    let mut submission = world.act_to_sign(signer, session);
    let challenge = world.act_challenge(signer, &submission).unwrap();
    submission.assertion = Some(copied.assertion(challenge));
    let bodies = world.submit(signer, submission.clone()).unwrap();
    assert_eq!(types(&bodies), ["passkey.cloned", "factor.locked"], "nothing is signed");
    submission.assertion = Some(passkey.assertion(challenge));
    assert_eq!(code(world.submit(signer, submission)), Code::FactorLocked);
    assert_eq!(code(world.identify(signer, session, &passkey)), Code::FactorLocked);
    let status = |world: &World| world.state().underway().unwrap().progress_of(signer).unwrap().status;
    assert_eq!(status(&world), RecipientStatus::FactorLocked);

    world.by_sender(Command::Resend { recipient: None }).unwrap();
    let later = world.open_session(signer).unwrap();
    passkey.count = 9;
    assert_eq!(code(world.identify(signer, later, &passkey)), Code::FactorMissing, "that passkey is gone");
    let mailed = world.issue_code(signer, later).unwrap();
    world.try_code(signer, later, mailed, true).unwrap();
    let another = Authenticator { credential: vec![2; 16], ..Authenticator::new() };
    world.register(signer, later, &another).unwrap();
    assert_eq!(world.refolded(), world.folded);
}

/// E-7: whoever is not identified by a passkey cannot hand in an assertion that would seem to mean something.
#[test]
fn an_assertion_of_somebody_without_a_passkey_is_refused() {
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    let signer = world.recipient(0);
    let session = world.ready(signer);
    assert_eq!(code(world.register(signer, session, &Authenticator::new())), Code::WrongState);
    let mut submission = world.submission(signer, session);
    submission.assertion = Some(Authenticator::new().assertion(Digest::of(b"anything")));
    assert_eq!(code(world.submit(signer, submission)), Code::Invalid);
}

fn by_access_code() -> NewRecipient {
    let access_code = Some(personal("00ff"));
    NewRecipient { factor: Factor::AccessCode, access_code, ..recipient(1, Role::Signer, 1) }
}

impl World {
    fn try_access_code(&mut self, signer: RecipientId, session: SessionId, right: bool) -> Answer {
        self.by(signer, session, Command::TryAccessCode { recipient: signer, session, right })
    }
}

/// S-3, S-4: five wrong access codes lock, over all sessions of a link; another link unlocks, and no mailed code does.
#[test]
fn an_access_code_is_tried_five_times() {
    let mut world = World::sent(vec![by_access_code()], Vec::new());
    let signer = world.recipient(0);
    let session = world.open_session(signer).unwrap();
    assert_eq!(code(world.issue_code(signer, session)), Code::WrongState, "none is mailed");
    assert_eq!(code(world.consent(signer, session)), Code::FactorMissing);
    for _ in 0..3 {
        world.try_access_code(signer, session, false).unwrap();
    }
    let session = world.open_session(signer).unwrap();
    let fourth = world.try_access_code(signer, session, false).unwrap();
    let factor = Factor::AccessCode;
    assert_eq!(fourth, [Body::FactorFailed { recipient: signer, session, factor, tries_left: 1 }]);
    let fifth = world.try_access_code(signer, session, false).unwrap();
    assert_eq!(types(&fifth), ["factor.failed", "factor.locked"]);
    assert_eq!(code(world.try_access_code(signer, session, true)), Code::FactorLocked);

    world.by_sender(Command::Resend { recipient: None }).unwrap();
    let session = world.open_session(signer).unwrap();
    assert_eq!(types(&world.try_access_code(signer, session, true).unwrap()), ["factor.passed"]);
    world.consent(signer, session).unwrap();
    assert_eq!(world.refolded(), world.folded);
}

/// S-3, S-4: five wrong codes of an authenticator app lock, over all sessions of a link; no other factor's code is taken for
/// one, and none is mailed.
#[test]
fn a_code_of_an_authenticator_app_is_tried_five_times() {
    let factor = Factor::Totp;
    let mut world = World::sent(vec![NewRecipient { factor, ..recipient(1, Role::Signer, 1) }], Vec::new());
    let signer = world.recipient(0);
    let session = world.open_session(signer).unwrap();
    assert_eq!(code(world.issue_code(signer, session)), Code::WrongState, "none is mailed");
    assert_eq!(code(world.consent(signer, session)), Code::FactorMissing);
    assert_eq!(code(world.try_access_code(signer, session, true)), Code::WrongState);
    let try_totp = |world: &mut World, session, right| {
        world.by(signer, session, Command::TryTotp { recipient: signer, session, right })
    };
    for _ in 0..3 {
        try_totp(&mut world, session, false).unwrap();
    }
    let session = world.open_session(signer).unwrap();
    let fourth = try_totp(&mut world, session, false).unwrap();
    assert_eq!(fourth, [Body::FactorFailed { recipient: signer, session, factor, tries_left: 1 }]);
    assert_eq!(types(&try_totp(&mut world, session, false).unwrap()), ["factor.failed", "factor.locked"]);
    assert_eq!(code(try_totp(&mut world, session, true)), Code::FactorLocked);

    world.by_sender(Command::Resend { recipient: None }).unwrap();
    let session = world.open_session(signer).unwrap();
    assert_eq!(types(&try_totp(&mut world, session, true).unwrap()), ["factor.passed"]);
    world.consent(signer, session).unwrap();
    assert_eq!(world.refolded(), world.folded);

    let mut other = World::sent(vec![by_access_code()], Vec::new());
    let signer = other.recipient(0);
    let session = other.open_session(signer).unwrap();
    let refused = other.by(signer, session, Command::TryTotp { recipient: signer, session, right: true });
    assert_eq!(code(refused), Code::WrongState);
}

/// S-3: an access code goes with its factor and no other, and has characters that every keyboard types alike.
#[test]
fn an_access_code_belongs_to_its_factor() {
    let create = |one: NewRecipient| {
        World::new().by_sender(Command::Create(Box::new(new_envelope(vec![one], Vec::new()))))
    };
    for one in [
        NewRecipient { access_code: None, ..by_access_code() },
        NewRecipient { factor: Factor::Link, ..by_access_code() },
    ] {
        let refused = create(one).unwrap_err();
        assert_eq!(refused.pointer.as_deref(), Some("/recipients/0/access_code"));
    }
    create(by_access_code()).unwrap();
    for good in ["123456", "correct horse", &"x".repeat(64)] {
        check_access_code("/x", good).unwrap();
    }
    for bad in ["12345", "", " 123456", "123456 ", "pässword", "123\n456", &"x".repeat(65)] {
        assert_eq!(code(check_access_code("/x", bad)), Code::Invalid, "{bad:?}");
    }
}

/// S-3: an envelope that asks for a level is created only if everybody who signs or approves is asked to reach it.
#[test]
fn an_envelope_asks_for_a_level_of_everybody_who_acts() {
    let create = |assurance, factor| {
        let access_code = (factor == Factor::AccessCode).then(|| personal("00ff"));
        let signer = NewRecipient { factor, access_code, ..recipient(1, Role::Signer, 1) };
        let reader = NewRecipient { factor: Factor::Link, ..recipient(2, Role::Viewer, 2) };
        let mut new = new_envelope(vec![reader, signer], Vec::new());
        new.assurance = assurance;
        World::new().by_sender(Command::Create(Box::new(new)))
    };
    let least = |factor: Factor| Level::ALL.into_iter().filter(move |level| factor.level() >= Some(*level));
    for factor in Factor::ALL {
        create(None, factor).unwrap();
        for level in Level::ALL {
            match create(Some(level), factor) {
                Ok(_) => assert!(least(factor).any(|reached| reached == level), "{factor:?} {level:?}"),
                Err(refused) => {
                    assert!(!least(factor).any(|reached| reached == level), "{factor:?} {level:?}");
                    assert_eq!(refused.pointer.as_deref(), Some("/recipients/1/factor"));
                }
            }
        }
    }
    assert_eq!(Factor::Link.level(), None, "having a mail is no authentication");
    assert_eq!(Factor::EmailCode.level(), Some(Level::Aal1));
    assert_eq!(Factor::AccessCode.level(), Some(Level::Aal1));
    assert_eq!(Factor::Totp.level(), Some(Level::Aal2));
    assert_eq!(Factor::Passkey.level(), Some(Level::Aal2Phr));
}
