//! What each signature, approval and reading is bound to, and that a passkey signed it where one had to (E-7).

use std::collections::BTreeMap;

use countersign_core::{
    digest::Digest,
    envelope::{
        Body,
        event::{Act, ConsentText, Document, Factor, Recipient, Role},
        fields::button_label,
        passkey::{Assertion, Judged, Passkey},
    },
    id::RecipientId,
};

use super::{Checked, Finding};
use crate::{line::Followed, passkey::PurePasskeys};

/// Checks every act against the envelope as it was created and the session that it was done in.
pub(super) fn check(events: &[Followed]) -> Checked {
    let Some(Body::Created { title, documents, recipients, fields, .. }) =
        events.first().map(|first| &first.recorded.event.body)
    else {
        return Err(Finding::failed("the first event is not envelope.created"));
    };
    let mut nonces: Vec<Digest> = Vec::new();
    let mut passkeys = Passkeys::default();
    for (index, logged) in events.iter().enumerate() {
        let event = &logged.recorded.event;
        passkeys.follow(&event.body);
        let Some((act, verb)) = act_of(&event.body) else { continue };
        let seq = event.seq;
        let failed = |what: &str| Err(Finding::Failed(format!("event {seq}: {what}")));
        let Some(recipient) = recipients.iter().find(|recipient| recipient.id == act.recipient) else {
            return failed("it is the act of somebody who is not a recipient");
        };
        if !verb.contains(&recipient.role) {
            return failed("it is not what this recipient was asked to do");
        }
        if !documents
            .iter()
            .map(shown)
            .eq(act.documents.iter().map(|one| (one.document, one.sha256, one.page_count)))
        {
            return failed("the documents that were shown are not those of the envelope");
        }
        if consent_before(events.iter().take(index), act) != Some(&act.consent) {
            return failed("the consent it names was not given in this session");
        }
        let own = |field| fields.iter().any(|one| one.id == field && one.recipient == act.recipient);
        if !act.values.iter().all(|value| own(value.field)) {
            return failed("it fills a field that is not this recipient's");
        }
        if !label_fits(act, recipient, title.value().map(|title| title.disclose().as_str())) {
            return failed("the label of the button is not the one that was shown");
        }
        if act.nonce == Digest::default() || nonces.contains(&act.nonce) {
            return failed("its nonce is missing or was used by another act");
        }
        nonces.push(act.nonce);
        if let Err(why) = passkeys.signed(recipient, act) {
            return failed(&why);
        }
        let before = index.checked_sub(1).and_then(|index| events.get(index));
        if !mark_fits(act, before.map(|before| &before.recorded.event.body)) {
            return failed("the mark that the passkey signed is not the one that was adopted with it");
        }
    }
    let count = passkeys.signed_count;
    Ok(match count {
        0 => format!("{} acts", nonces.len()),
        _ => format!("{} acts, {count} of them signed by passkeys", nonces.len()),
    })
}

/// The passkeys as they stand at each event.
#[derive(Default)]
struct Passkeys {
    registered: BTreeMap<RecipientId, Passkey>,
    signed_count: usize,
}

impl Passkeys {
    fn follow(&mut self, body: &Body) {
        match body {
            Body::PasskeyRegistered { recipient, passkey, .. } => {
                self.registered.insert(*recipient, passkey.clone());
            }
            Body::PasskeyCloned { recipient, .. } => {
                self.registered.remove(recipient);
            }
            Body::FactorPassed { recipient, assertion: Some(assertion), .. } => {
                self.count(*recipient, assertion);
            }
            _ => {}
        }
    }

    fn count(&mut self, recipient: RecipientId, assertion: &Assertion) {
        let counted = assertion.sign_count();
        if let Some((passkey, counted)) = self.registered.get_mut(&recipient).zip(counted) {
            passkey.sign_count = counted;
        }
    }

    /// Whether the recipient's own passkey signed this very act, where a passkey identifies it.
    fn signed(&mut self, recipient: &Recipient, act: &Act) -> Result<(), String> {
        let assertion = match (recipient.factor == Factor::Passkey, &act.assertion) {
            (false, None) => return Ok(()),
            (false, Some(_)) => {
                return Err("it has an assertion, but no passkey identifies its recipient".to_owned());
            }
            (true, None) => {
                return Err("its recipient signs with a passkey, and the assertion is missing".to_owned());
            }
            (true, Some(assertion)) => assertion,
        };
        let passkey =
            self.registered.get(&recipient.id).ok_or("its recipient has no passkey at this point")?;
        match assertion.judge(passkey, &act.challenge(), &PurePasskeys) {
            Ok(Judged::Good) => {}
            Ok(Judged::Cloned) => {
                return Err(
                    "its assertion does not hold: the counter of the passkey has not grown".to_owned()
                );
            }
            Err(unfit) => return Err(format!("its assertion does not hold: {unfit}")),
        }
        self.count(recipient.id, assertion);
        self.signed_count += 1;
        Ok(())
    }
}

/// Whether an act that a passkey signs names the mark that was adopted with it, and no other act names one.
fn mark_fits(act: &Act, before: Option<&Body>) -> bool {
    let adopted = match before {
        Some(Body::SignatureAdopted { recipient, session, mark, .. })
            if *recipient == act.recipient && *session == act.session =>
        {
            Some(mark)
        }
        _ => None,
    };
    if act.assertion.is_none() { act.mark.is_none() } else { act.mark.as_ref() == adopted }
}

fn act_of(body: &Body) -> Option<(&Act, &'static [Role])> {
    match body {
        Body::Signed(act) => Some((act, &[Role::Signer])),
        Body::Approved(act) => Some((act, &[Role::Approver])),
        Body::Read(act) => Some((act, &[Role::Viewer])),
        _ => None,
    }
}

fn shown(document: &Document) -> (countersign_core::id::DocumentId, Digest, u32) {
    (document.id, document.sha256, document.page_count)
}

/// The last consent of the act's session.
fn consent_before<'a>(events: impl Iterator<Item = &'a Followed>, act: &Act) -> Option<&'a ConsentText> {
    let given = events.filter_map(|logged| match &logged.recorded.event.body {
        Body::ConsentGiven { recipient, session, text } => {
            (*recipient == act.recipient && *session == act.session).then_some(text)
        }
        _ => None,
    });
    given.last()
}

/// Erased labels and titles cannot be compared; their commitments were made when the label was checked.
fn label_fits(act: &Act, recipient: &Recipient, title: Option<&str>) -> bool {
    let disclosed = act.label.value().map(|label| label.disclose().as_str()).zip(title);
    disclosed.is_none_or(|(label, title)| label == button_label(recipient.role, title))
}
