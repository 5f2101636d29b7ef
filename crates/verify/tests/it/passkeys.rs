//! Signatures of passkeys, judged offline: genuine ones, and every single thing that is wrong with others (E-7).

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, Event,
        event::{Act, Factor},
        passkey::{Assertion, Bytes, PublicKey, Purpose, Registration, VerifyPasskey as _, challenge},
    },
    id::{RecipientId, SessionId},
};
use countersign_verify::{Check, PurePasskeys, Verdict, verify_package};
use ed25519_dalek::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use crate::story::{
    Story, assemble, envelope, keys, log_signer, personal, until_sealing, until_sealing_after_a_copy,
    until_sealing_with, until_sealing_with_an_app,
};

const ORIGIN: &str = "https://countersign.example";

/// A key of a passkey.
#[derive(Clone)]
enum Key {
    Es256(SigningKey),
    EdDsa(ed25519_dalek::SigningKey),
}

/// An authenticator in a browser.
#[derive(Clone)]
pub(crate) struct Authenticator {
    key: Key,
    origin: &'static str,
    relying_party: &'static str,
    flags: u8,
    count: u32,
}

impl Authenticator {
    pub(crate) fn es256() -> Self {
        Self::with(Key::Es256(SigningKey::from_slice(&[7; 32]).expect("a scalar")))
    }

    fn eddsa() -> Self {
        Self::with(Key::EdDsa(ed25519_dalek::SigningKey::from_bytes(&[7; 32])))
    }

    fn with(key: Key) -> Self {
        Self { key, origin: ORIGIN, relying_party: "countersign.example", flags: 0x05, count: 1 }
    }

    fn client(&self, kind: &str, challenge: Digest) -> Vec<u8> {
        let (challenge, origin) = (Bytes(challenge.0.to_vec()), self.origin);
        let json = format!(
            r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
        );
        json.into_bytes()
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let party = Digest::of(self.relying_party.as_bytes()).0;
        [party.as_slice(), &[flags], &self.count.to_be_bytes()].concat()
    }

    fn cose(&self) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().expect("affine"), point.y().expect("affine"));
                let head: &[u8] = &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20];
                [head, x, &[0x22, 0x58, 0x20], y].concat()
            }
            Key::EdDsa(key) => {
                let head: &[u8] = &[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20];
                [head, key.verifying_key().as_bytes()].concat()
            }
        }
    }

    pub(crate) fn registration(&self, challenge: Digest) -> Registration {
        let data = [self.head(self.flags | 0x40), vec![0; 16], vec![0, 4, 1, 2, 3, 4], self.cose()].concat();
        let client = self.client("webauthn.create", challenge);
        Registration { authenticator_data: Bytes(data), client_data_json: Bytes(client) }
    }

    pub(crate) fn assertion(&mut self, challenge: Digest) -> Assertion {
        self.count += 1;
        let (data, client) = (self.head(self.flags), self.client("webauthn.get", challenge));
        let message = [data.as_slice(), &Digest::of(&client).0].concat();
        let signature = match &self.key {
            Key::Es256(key) => {
                let signature: Signature = key.sign(&message);
                signature.to_der().as_bytes().to_vec()
            }
            Key::EdDsa(key) => key.sign(&message).to_vec(),
        };
        Assertion {
            credential: Bytes(vec![1, 2, 3, 4]),
            authenticator_data: Bytes(data),
            client_data_json: Bytes(client),
            signature: Bytes(signature),
        }
    }
}

impl Story {
    /// Makes a passkey and is identified by it, after the mailed code.
    pub(crate) fn pass(&mut self, recipient: RecipientId, session: SessionId, with: &mut Authenticator) {
        let registration = with.registration(challenge(Purpose::Register, envelope(), recipient, session));
        let origin = ORIGIN.to_owned();
        self.by(recipient, session, Command::RegisterPasskey { recipient, session, origin, registration });
        self.identify(recipient, session, with);
    }

    /// Uses a passkey to be identified.
    pub(crate) fn identify(&mut self, recipient: RecipientId, session: SessionId, with: &mut Authenticator) {
        let assertion = with.assertion(challenge(Purpose::Identify, envelope(), recipient, session));
        self.by(recipient, session, Command::UsePasskey { recipient, session, assertion });
    }
}

fn by_passkeys(authenticator: Authenticator) -> Vec<Event> {
    until_sealing_with(authenticator)
}

/// E-7, E-9: a package whose signatures are by passkeys is genuine without us, with either algorithm, and says in words
/// what the passkey did.
#[test]
fn acts_by_passkeys_are_verified_offline() {
    for authenticator in [Authenticator::es256(), Authenticator::eddsa()] {
        let package = assemble(by_passkeys(authenticator), log_signer());
        let report = verify_package(&package.to_bytes().expect("a package"), &keys());
        assert_eq!(report.verdict(), Verdict::Genuine, "{}", report.to_text());
        let text = report.to_text();
        for words in [
            "made a passkey on \"https://countersign.example\", which stays on one device",
            "signed with their passkey, over the hash of what they acted on, at",
            "identified by the mailed link, a mailed code and a passkey that checked its owner",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        let acts = report.items.iter().find(|item| item.check == Check::Acts).expect("reported");
        assert_eq!(acts.sentence, "3 acts, 3 of them signed by passkeys");
    }
}

type Change = fn(&mut Vec<Event>);

fn act(events: &mut [Event], change: impl FnOnce(&mut Act)) {
    let act = events.iter_mut().find_map(|event| match &mut event.body {
        Body::Signed(act) => Some(act),
        _ => None,
    });
    change(act.expect("signed"));
}

/// Has the act signed again by a passkey that differs.
fn signed_by(events: &mut [Event], mut passkey: Authenticator) {
    act(events, |act| {
        passkey.count = 100;
        act.assertion = Some(passkey.assertion(act.challenge()));
    });
}

fn assertion(events: &mut [Event], change: impl FnOnce(&mut Assertion)) {
    act(events, |act| change(act.assertion.as_mut().expect("signed by a passkey")));
}

const WRONG: &[(&str, &str, Change)] = &[
    ("the assertion stripped", "the assertion is missing", |e| act(e, |act| act.assertion = None)),
    ("a value changed", "what it signed has changed", |e| {
        act(e, |act| {
            let value = &mut act.values[3].value;
            let salt = value.opening.as_ref().expect("open").salt;
            *value = countersign_core::envelope::Veiled::new(value.person, salt, personal("3 cats"));
        });
    }),
    ("another nonce", "what it signed has changed", |e| act(e, |act| act.nonce = Digest::of(b"other"))),
    ("another mark named", "what it signed has changed", |e| {
        act(e, |act| act.mark = Some(act.label.clone()));
    }),
    ("another mark adopted", "the mark that the passkey signed", |e| {
        for event in e.iter_mut() {
            if let Body::SignatureAdopted { mark, .. } = &mut event.body {
                *mark = countersign_core::envelope::Veiled::new(mark.person, [1; 16], personal("Eve"));
            }
        }
    }),
    ("a wrong challenge", "an earlier question", |e| {
        let mut passkey = Authenticator { count: 100, ..Authenticator::es256() };
        act(e, |act| act.assertion = Some(passkey.assertion(Digest::of(b"something else"))));
    }),
    ("another site", "another site than this one", |e| {
        signed_by(e, Authenticator { origin: "https://countersign.example.evil", ..Authenticator::es256() });
    }),
    ("another relying party", "belongs to another site", |e| {
        signed_by(e, Authenticator { relying_party: "evil", ..Authenticator::es256() });
    }),
    ("no user verification", "did not check that it is you", |e| {
        signed_by(e, Authenticator { flags: 0x01, ..Authenticator::es256() });
    }),
    ("nobody there", "without you being there", |e| {
        signed_by(e, Authenticator { flags: 0x04, ..Authenticator::es256() });
    }),
    ("another key", "signature is not right", |e| {
        signed_by(
            e,
            Authenticator {
                key: Key::Es256(SigningKey::from_slice(&[8; 32]).unwrap()),
                ..Authenticator::es256()
            },
        );
    }),
    ("a bit of the signature", "signature is not right", |e| {
        assertion(e, |assertion| *assertion.signature.0.last_mut().expect("bytes") ^= 1);
    }),
    ("a counter that did not grow", "has not grown", |e| {
        let mut passkey = Authenticator { count: 0, ..Authenticator::es256() };
        act(e, |act| act.assertion = Some(passkey.assertion(act.challenge())));
    }),
    ("another credential", "another passkey", |e| assertion(e, |assertion| assertion.credential.0.push(1))),
    ("the passkey not registered", "no passkey at this point", |e| {
        e.retain(|event| !matches!(event.body, Body::PasskeyRegistered { .. }));
    }),
    ("the passkey of another registered", "signature is not right", |e| {
        let other = Authenticator {
            key: Key::Es256(SigningKey::from_slice(&[8; 32]).unwrap()),
            ..Authenticator::es256()
        };
        for event in e.iter_mut() {
            if let Body::PasskeyRegistered { passkey, .. } = &mut event.body {
                passkey.public_key = Bytes(other.cose());
            }
        }
    }),
    ("said to have needed no passkey", "no passkey identifies its recipient", |e| {
        let Body::Created { recipients, .. } = &mut e[0].body else { panic!("created") };
        recipients[0].factor = Factor::EmailCode;
    }),
];

/// E-7: an operator with all keys who changes one thing of what a passkey signed is named, and so is what is wrong.
#[test]
fn e_7_one_wrong_thing_of_a_passkey_s_signature_is_named() {
    let genuine = by_passkeys(Authenticator::es256());
    let mut wrong = Vec::new();
    for (name, words, change) in WRONG {
        let mut events = genuine.clone();
        change(&mut events);
        for (event, seq) in events.iter_mut().zip(1..) {
            event.seq = seq;
        }
        let package = assemble(events, log_signer()).to_bytes().expect("a package");
        let report = verify_package(&package, &keys());
        let first = report.first_failure().map(|item| (item.check, item.sentence.clone()));
        if !first.as_ref().is_some_and(|(check, sentence)| *check == Check::Acts && sentence.contains(words))
        {
            wrong.push(format!("{name}: {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), WRONG.len(), wrong.join("\n"));
}

/// S-3: what led to the act is decided again as well: a registration and an identification that were not so are named.
#[test]
fn a_registration_and_an_identification_are_decided_again() {
    let genuine = by_passkeys(Authenticator::es256());
    let changes: [Change; 4] = [
        |e| {
            for event in e {
                if let Body::PasskeyRegistered { registration, .. } = &mut event.body {
                    registration.authenticator_data.0[32] &= !0x04;
                }
            }
        },
        |e| {
            for event in e {
                if let Body::PasskeyRegistered { passkey, .. } = &mut event.body {
                    passkey.sign_count = 0;
                }
            }
        },
        |e| {
            for event in e {
                if let Body::FactorPassed { assertion: Some(assertion), .. } = &mut event.body {
                    assertion.signature.0.pop();
                }
            }
        },
        |e| {
            for event in e {
                if let Body::FactorPassed { assertion, .. } = &mut event.body {
                    *assertion = None;
                }
            }
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut events = genuine.clone();
        change(&mut events);
        let package = assemble(events, log_signer()).to_bytes().expect("a package");
        let first = verify_package(&package, &keys()).first_failure().map(|item| item.check);
        assert_eq!(first, Some(Check::Legal), "change {number}");
    }
}

/// E-7, S-3: a copied passkey, the lock, another passkey and an access code are a history that the rules allow, told in
/// words; the copy's answer is judged again too.
#[test]
fn a_copied_passkey_and_an_access_code_are_part_of_a_genuine_history() {
    let mut events = until_sealing_after_a_copy();
    let report =
        |events: Vec<Event>| verify_package(&assemble(events, log_signer()).to_bytes().expect("it"), &keys());
    let genuine = report(events.clone());
    assert_eq!(genuine.verdict(), Verdict::Genuine, "{}", genuine.to_text());
    let text = genuine.to_text();
    for words in
        ["as if it had been copied", "identified by the mailed link and an access code from the sender"]
    {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    for event in &mut events {
        if let Body::PasskeyCloned { assertion, .. } = &mut event.body {
            assertion.signature.0.pop();
        }
    }
    assert_eq!(report(events).first_failure().map(|item| item.check), Some(Check::Legal));
}

/// S-3: a code of a member's authenticator app is told in words; one that was never right, or said to have been a code of
/// another kind, is named.
#[test]
fn a_code_of_an_authenticator_app_is_decided_again() {
    let report =
        |events: Vec<Event>| verify_package(&assemble(events, log_signer()).to_bytes().expect("it"), &keys());
    let genuine = until_sealing_with_an_app();
    let told = report(genuine.clone());
    assert_eq!(told.verdict(), Verdict::Genuine, "{}", told.to_text());
    let words = "identified by the mailed link and a code of the authenticator app of a member";
    assert!(told.to_text().contains(words), "{}", told.to_text());
    let is_passed = |event: &Event| matches!(event.body, Body::FactorPassed { factor: Factor::Totp, .. });
    assert_eq!(genuine.iter().filter(|event| is_passed(event)).count(), 1);
    for other in [Factor::Link, Factor::EmailCode, Factor::AccessCode, Factor::Passkey] {
        let mut events = genuine.clone();
        for event in &mut events {
            if let Body::FactorPassed { factor, .. } = &mut event.body
                && *factor == Factor::Totp
            {
                *factor = other;
            }
        }
        let first = report(events).first_failure().map(|item| item.check);
        assert_eq!(first, Some(Check::Legal), "{other:?}");
    }
    let mut never_right = genuine.clone();
    for event in &mut never_right {
        if let Body::FactorPassed { factor: factor @ Factor::Totp, recipient, session, .. } =
            event.body.clone()
        {
            event.body = Body::FactorFailed { recipient, session, factor, tries_left: 3 };
        }
    }
    assert_eq!(report(never_right).first_failure().map(|item| item.check), Some(Check::Legal));
    let mut weaker = genuine;
    let Body::Created { recipients, .. } = &mut weaker[0].body else { panic!("created") };
    recipients[1].factor = Factor::EmailCode;
    assert_eq!(report(weaker).first_failure().map(|item| item.check), Some(Check::Legal));
}

/// Envelopes without passkeys say what they said.
#[test]
fn acts_without_passkeys_stay_as_they_were() {
    let mut events = until_sealing();
    let mut passkey = Authenticator::es256();
    act(&mut events, |act| act.assertion = Some(passkey.assertion(act.challenge())));
    let package = assemble(events, log_signer()).to_bytes().expect("a package");
    let report = verify_package(&package, &keys());
    let first = report.first_failure().expect("an assertion that means nothing");
    assert!(first.check == Check::Acts && first.sentence.contains("no passkey"), "{}", first.sentence);
}

/// Keys and signatures that are none are refused, and nothing panics.
#[test]
fn what_is_no_key_or_no_signature_verifies_nothing() {
    let keys = [
        PublicKey::Es256 { x: [0; 32], y: [0; 32] },
        PublicKey::Es256 { x: [255; 32], y: [1; 32] },
        PublicKey::EdDsa([0; 32]),
        PublicKey::EdDsa([255; 32]),
    ];
    for key in keys {
        for signature in [&[][..], &[0; 8], &[0; 64], &[0x30; 72]] {
            assert!(!PurePasskeys.is_signed(&key, b"message", signature), "{key:?} {signature:?}");
        }
    }
}
