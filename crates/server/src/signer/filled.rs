//! What others have filled in before: a later signer sees it on the pages, because it will stand above her signature.
//! The sealed document shows it to her in any case.

use std::sync::Arc;

use countersign_core::{
    envelope::{
        Recorded, Veiled,
        event::{Act, AdoptionMethod, Field, FieldKind},
        state::Underway,
    },
    id::RecipientId,
};
use serde::Serialize;

use crate::sealing::stamps::act_in;

/// A field of another recipient who has acted, as it will stand in the sealed document.
#[derive(Debug, Serialize)]
pub struct Filled<'a> {
    field: &'a Field,
    /// Name of whoever filled it in.
    by: &'a str,
    /// The value; nothing for a box that was left unticked.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// What stands in the field of a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<FilledMark<'a>>,
}

/// An adopted signature.
#[derive(Debug, Serialize)]
struct FilledMark<'a> {
    method: AdoptionMethod,
    value: &'a str,
}

/// The fields that others than `viewer` have filled in by now, in reading order.
pub fn by_others<'a>(
    underway: &'a Underway,
    events: &'a [Arc<Recorded>],
    viewer: RecipientId,
) -> Vec<Filled<'a>> {
    let acts: Vec<&Act> = events.iter().filter_map(|recorded| act_in(recorded)).collect();
    let fields = underway.contents.fields.iter().filter(|field| field.recipient != viewer);
    fields.filter_map(|field| filled(underway, &acts, field)).collect()
}

/// `None` for a field whose recipient has not acted, and for one that was left empty.
fn filled<'a>(underway: &'a Underway, acts: &[&'a Act], field: &'a Field) -> Option<Filled<'a>> {
    let act = acts.iter().find(|act| act.recipient == field.recipient)?;
    let by = shown(&underway.contents.recipient(field.recipient)?.name);
    let value = act.values.iter().find(|value| value.field == field.id).map(|value| shown(&value.value));
    let mark = match field.kind {
        FieldKind::Signature => {
            let (method, mark) = underway.progress_of(field.recipient)?.adopted.as_ref()?;
            Some(FilledMark { method: *method, value: mark.value()?.disclose() })
        }
        FieldKind::Checkbox | FieldKind::Radio { .. } => None,
        _ => {
            value?;
            None
        }
    };
    Some(Filled { field, by, value, mark })
}

/// A personal value, or that it was erased.
fn shown(value: &Veiled) -> &str {
    value.value().map_or("[erased]", |value| value.disclose().as_str())
}
