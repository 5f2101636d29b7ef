//! What each signature, approval and reading is bound to (E-7).

use countersign_core::{
    digest::Digest,
    envelope::{
        Body,
        event::{Act, ConsentText, Document, Recipient, Role},
        fields::button_label,
    },
};

use super::{Checked, Finding};
use crate::line::Followed;

/// Checks every act against the envelope as it was created and the session that it was done in.
pub(super) fn check(events: &[Followed]) -> Checked {
    let Some(Body::Created { title, documents, recipients, fields, .. }) =
        events.first().map(|first| &first.recorded.event.body)
    else {
        return Err(Finding::failed("the first event is not envelope.created"));
    };
    let mut nonces: Vec<Digest> = Vec::new();
    for (index, logged) in events.iter().enumerate() {
        let event = &logged.recorded.event;
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
    }
    Ok(format!("{} acts", nonces.len()))
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
