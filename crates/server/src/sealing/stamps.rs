//! What each field's value looks like on the page.

use countersign_core::{
    envelope::{
        Body, Recorded, Veiled,
        event::{Act, Field, FieldKind},
        state::{Progress, Underway},
    },
    id::DocumentId,
    time::Time,
};
use countersign_pdf::{
    geometry::DisplayRect,
    place::{Align, Handwriting, Mark, Stamp},
};

use super::story::handwriting;

/// The stamps of one document, in the order of its fields.
pub fn stamps(underway: &Underway, envelope: &str, events: &[Recorded], document: DocumentId) -> Vec<Stamp> {
    let acts: Vec<(&Act, Time)> = events.iter().filter_map(|recorded| Some((act(recorded)?, recorded.event.at))).collect();
    let fields = underway.contents.fields.iter().filter(|field| field.document == document);
    fields
        .filter_map(|field| {
            let (act, at) = acts.iter().find(|(act, _)| act.recipient == field.recipient)?;
            let value = act.values.iter().find(|value| value.field == field.id);
            let progress = underway.progress_of(field.recipient)?;
            let mark = mark(field, value.map(|value| &value.value), progress, envelope, *at)?;
            Some(Stamp { field: field.label.clone(), page: field.page, rect: rect(field), mark })
        })
        .collect()
}

fn act(recorded: &Recorded) -> Option<&Act> {
    match &recorded.event.body {
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some(act),
        _ => None,
    }
}

fn rect(field: &Field) -> DisplayRect {
    let points = |cpt: u32| f64::from(cpt) / 100.0;
    DisplayRect {
        x: points(field.rect.x_cpt),
        y: points(field.rect.y_cpt),
        width: points(field.rect.width_cpt),
        height: points(field.rect.height_cpt),
    }
}

/// The mark of a field; `None` for an optional field that was left empty.
fn mark(field: &Field, value: Option<&Veiled>, progress: &Progress, envelope: &str, at: Time) -> Option<Mark> {
    let value = value.map(|value| value.value().map_or("[erased]", |value| value.disclose().as_str()));
    let is_on = value == Some("true");
    match &field.kind {
        FieldKind::Signature => {
            let (method, mark) = progress.adopted.as_ref()?;
            let caption = format!("{} · {} · {envelope}", value.unwrap_or_default(), at.in_utc());
            Some(Mark::Signature { ink: handwriting(*method, mark)?, caption })
        }
        FieldKind::Initials => {
            let ink = Handwriting::Typed { name: value?.to_owned() };
            Some(Mark::Initials { ink, caption: String::new() })
        }
        FieldKind::Checkbox => Some(Mark::Check { on: is_on }),
        FieldKind::Radio { .. } => Some(Mark::Radio { on: is_on }),
        FieldKind::Text { multiline: true, .. } => {
            Some(Mark::MultilineText { value: value?.to_owned(), size_pt: None, align: Align::Left })
        }
        FieldKind::Number { .. } => Some(Mark::Text { value: value?.to_owned(), size_pt: None, align: Align::Right }),
        FieldKind::DateSigned
        | FieldKind::Name
        | FieldKind::Email
        | FieldKind::Company
        | FieldKind::Title
        | FieldKind::Text { multiline: false, .. }
        | FieldKind::Dropdown { .. } => Some(Mark::Text { value: value?.to_owned(), size_pt: None, align: Align::Left }),
    }
}
