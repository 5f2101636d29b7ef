//! What each field's value looks like on the page.

use countersign_core::{
    access::Environment,
    envelope::{
        Body, Recorded,
        event::{Act, FieldKind, Rect},
        state::Underway,
    },
    id::{DocumentId, EnvelopeId},
    time::Time,
};
use countersign_pdf::{
    geometry::DisplayRect,
    place::{Align, Handwriting, Mark, Stamp},
};

use super::story::handwriting;

/// The stamps of one document, in the order of its fields.
pub fn stamps(
    underway: &Underway,
    envelope: EnvelopeId,
    events: &[&Recorded],
    document: DocumentId,
) -> Vec<Stamp> {
    let acts: Vec<(&Act, Time)> =
        events.iter().filter_map(|recorded| Some((act_in(recorded)?, recorded.event.at))).collect();
    let fields = underway.contents.fields.iter().filter(|field| field.document == document);
    fields
        .filter_map(|field| {
            let (act, at) = acts.iter().find(|(act, _)| act.recipient == field.recipient)?;
            let value = act.values.iter().find(|value| value.field == field.id).map(|value| &value.value);
            let value =
                value.map(|value| value.value().map_or("[erased]", |value| value.disclose().as_str()));
            let adopted = underway.progress_of(field.recipient)?.adopted.as_ref();
            let ink = adopted.and_then(|(method, mark)| handwriting(*method, mark));
            let caption = caption(underway.contents.environment, value.unwrap_or_default(), *at, envelope);
            let mark = mark(&field.kind, value, ink, caption)?;
            Some(Stamp { field: field.label.clone(), page: field.page, rect: display(field.rect), mark })
        })
        .collect()
}

/// The act of a recipient, if the event is one.
pub fn act_in(recorded: &Recorded) -> Option<&Act> {
    match &recorded.event.body {
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some(act),
        _ => None,
    }
}

/// The small print below a signature. Commas may end a line; other marks would hang there.
pub(super) fn caption(environment: Environment, name: &str, at: Time, envelope: EnvelopeId) -> String {
    let sandbox = match environment {
        Environment::Sandbox => "Sandbox: ",
        Environment::Live => "",
    };
    format!("{sandbox}{name}, {}, {envelope}", at.in_utc())
}

/// A field's place in points.
pub(super) fn display(rect: Rect) -> DisplayRect {
    let points = |cpt: u32| f64::from(cpt) / 100.0;
    DisplayRect {
        x: points(rect.x_cpt),
        y: points(rect.y_cpt),
        width: points(rect.width_cpt),
        height: points(rect.height_cpt),
    }
}

/// The mark of a field; `None` for an optional field that was left empty, and for a signature that was erased.
pub(super) fn mark(
    kind: &FieldKind,
    value: Option<&str>,
    ink: Option<Handwriting>,
    caption: String,
) -> Option<Mark> {
    let is_on = value == Some("true");
    let line = |align: Align| Some(Mark::Text { value: value?.to_owned(), size_pt: None, align });
    match kind {
        FieldKind::Signature => Some(Mark::Signature { ink: ink?, caption }),
        FieldKind::Initials => {
            let ink = Handwriting::Typed { name: value?.to_owned() };
            Some(Mark::Initials { ink, caption: String::new() })
        }
        FieldKind::Checkbox => Some(Mark::Check { on: is_on }),
        FieldKind::Radio { .. } => Some(Mark::Radio { on: is_on }),
        FieldKind::Text { multiline: true, .. } => {
            Some(Mark::MultilineText { value: value?.to_owned(), size_pt: None, align: Align::Left })
        }
        FieldKind::Number { .. } => line(Align::Right),
        FieldKind::DateSigned
        | FieldKind::Name
        | FieldKind::Email
        | FieldKind::Company
        | FieldKind::Title
        | FieldKind::Text { multiline: false, .. }
        | FieldKind::Dropdown { .. } => line(Align::Left),
    }
}
