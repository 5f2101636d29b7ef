//! Whether values fit their fields. It is asked before a field or a value is accepted, so that no seal can fail for it
//! later, when everybody has signed.

use countersign_core::{
    envelope::{
        command::{NewEnvelope, Submission},
        event::{AdoptionMethod, FieldKind, Recipient, Rect},
        fields::{check_adopted, complete_values, initials},
        state::Contents,
    },
    id::EnvelopeId,
    refusal::{Code, Refusal},
    time::Time,
};
use countersign_pdf::{
    font::FontBook,
    geometry::{PageGeometry, UserRect},
    place::{Handwriting, Stamp, check},
};

use super::{
    stamps::{caption, display, mark},
    story::ink,
};

/// A page on which every field lies: where a field lies on its real page was checked when it was made.
const ANY_PAGE: PageGeometry = PageGeometry {
    crop: UserRect { left: 0.0, bottom: 0.0, right: 50_000_000.0, top: 50_000_000.0 },
    rotation: 0,
    user_unit: 1.0,
};

/// What would stand in a field.
struct Trial<'a> {
    kind: &'a FieldKind,
    rect: Rect,
    value: Option<&'a str>,
    ink: Option<Handwriting>,
    caption: String,
}

impl Trial<'_> {
    fn fits(self, fonts: &FontBook) -> bool {
        let Some(mark) = mark(self.kind, self.value, self.ink, self.caption) else { return true };
        let stamp = Stamp { field: String::new(), page: 1, rect: display(self.rect), mark };
        check(&[stamp], &[ANY_PAGE], fonts).is_ok()
    }
}

/// Refuses fields that are too small for what the server itself will put into them, and for the options of dropdowns.
pub fn check_fields(new: &NewEnvelope, at: Time, fonts: &FontBook) -> Result<(), Refusal> {
    for (index, field) in new.fields.iter().enumerate() {
        let Some(recipient) = new.recipients.get(field.recipient_index) else { continue };
        let (name, email) = (recipient.name.disclose(), recipient.email.disclose());
        let (date, short) = (at.date_in_zone(None), initials(name));
        let values: Vec<&str> = match &field.kind {
            FieldKind::Signature | FieldKind::Name => vec![name],
            FieldKind::Initials => vec![&short],
            FieldKind::DateSigned => vec![&date],
            FieldKind::Email => vec![email],
            FieldKind::Dropdown { options } => options.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        for value in values {
            let ink = Some(Handwriting::Typed { name: value.to_owned() });
            let caption = caption(new.environment, name, at, new.envelope);
            let trial = Trial { kind: &field.kind, rect: field.rect, value: Some(value), ink, caption };
            if !trial.fits(fonts) {
                let sentence = "this field is too small for what will stand in it; make it larger";
                return Err(Refusal::at(Code::Invalid, format!("/fields/{index}/rect"), sentence));
            }
        }
    }
    Ok(())
}

/// Refuses typed values and marks that cannot be placed in their fields.
pub fn check_submission(
    contents: &Contents,
    recipient: &Recipient,
    submission: &Submission,
    (envelope, at): (EnvelopeId, Time),
    fonts: &FontBook,
) -> Result<(), Refusal> {
    check_adopted(recipient.role, submission.adopted.as_ref())?;
    let values = complete_values(contents, recipient, submission, at, None)?;
    let adopted = submission.adopted.as_ref().and_then(|(method, mark)| ink(*method, mark.disclose()));
    let name = recipient.name.value().map(|name| name.disclose().clone()).unwrap_or_default();
    for field in contents.fields_of(recipient.id) {
        let value = values.iter().find(|(id, _)| *id == field.id).map(|(_, value)| value.disclose().as_str());
        let caption = caption(contents.environment, &name, at, envelope);
        let trial = Trial { kind: &field.kind, rect: field.rect, value, ink: adopted.clone(), caption };
        if trial.fits(fonts) {
            continue;
        }
        return Err(match (&field.kind, submission.adopted.as_ref()) {
            (FieldKind::Signature, Some((AdoptionMethod::Drawn, _))) => Refusal::at(
                Code::Invalid,
                "/adopted/value",
                "this drawing cannot be used; clear it and draw again",
            ),
            (FieldKind::Signature, _) => Refusal::at(
                Code::Invalid,
                "/adopted/value",
                "this name is too long for the signature field; shorten it",
            ),
            _ => {
                let sentence = format!("this does not fit into “{}”; shorten it", field.label);
                Refusal::at(Code::Invalid, format!("/values/{}", field.id), sentence)
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use countersign_core::access::Environment;

    use super::*;

    fn trial(kind: &FieldKind, value: &str, width_cpt: u32, height_cpt: u32) -> bool {
        let rect = Rect { x_cpt: 0, y_cpt: 0, width_cpt, height_cpt };
        let caption =
            caption(Environment::Live, "Ada", Time::from_unix_ms(0), EnvelopeId::from_bytes([0; 16]));
        let ink = Some(Handwriting::Typed { name: value.to_owned() });
        Trial { kind, rect, value: Some(value), ink, caption }.fits(&FontBook::new())
    }

    /// S-1: what is accepted can be placed; what cannot be placed is refused before anybody signs.
    #[test]
    fn a_value_is_refused_where_its_field_cannot_hold_it() {
        assert!(trial(&FieldKind::Name, "Ada Lovelace", 12_000, 1_800));
        assert!(!trial(&FieldKind::Name, "Ada Lovelace", 600, 500));
        assert!(trial(&FieldKind::Signature, "Ada Lovelace", 18_000, 4_000));
        assert!(!trial(&FieldKind::Signature, "Ada Lovelace", 500, 500));
        let text = FieldKind::Text { max_chars: 4_000, multiline: true };
        assert!(trial(&text, &"word ".repeat(40), 20_000, 10_000));
        assert!(!trial(&text, &"word ".repeat(800), 5_000, 2_000));
    }
}
