//! What others have filled in before: a later signer sees it on the pages, because it will stand above her signature.
//! The sealed document shows it to her in any case.

use std::{collections::BTreeMap, sync::Arc};

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
}

/// An adopted signature.
#[derive(Debug, Serialize)]
pub struct FilledMark<'a> {
    method: AdoptionMethod,
    value: &'a str,
}

/// What others than a viewer have filled in by now.
#[derive(Debug, Default, Serialize)]
pub struct ByOthers<'a> {
    /// Their fields, in reading order.
    filled: Vec<Filled<'a>>,
    /// What stands in the fields for their signatures: once for each of them, as a drawing is large.
    marks: BTreeMap<RecipientId, FilledMark<'a>>,
}

impl<'a> ByOthers<'a> {
    /// What others than `viewer` have filled in.
    pub fn new(underway: &'a Underway, events: &'a [Arc<Recorded>], viewer: RecipientId) -> Self {
        let acts: Vec<&Act> = events.iter().filter_map(|recorded| act_in(recorded)).collect();
        let mut by_others = Self::default();
        for field in underway.contents.fields.iter().filter(|field| field.recipient != viewer) {
            if matches!(field.kind, FieldKind::Signature) {
                let Some(mark) = mark_of(underway, field.recipient) else { continue };
                by_others.marks.insert(field.recipient, mark);
            }
            by_others.filled.extend(filled(underway, &acts, field));
        }
        by_others
    }
}

/// The signature that a recipient has adopted, unless it was erased.
fn mark_of(underway: &Underway, recipient: RecipientId) -> Option<FilledMark<'_>> {
    let (method, mark) = underway.progress_of(recipient)?.adopted.as_ref()?;
    Some(FilledMark { method: *method, value: mark.value()?.disclose() })
}

/// `None` for a field whose recipient has not acted, and for one that was left empty.
fn filled<'a>(underway: &'a Underway, acts: &[&'a Act], field: &'a Field) -> Option<Filled<'a>> {
    let act = acts.iter().find(|act| act.recipient == field.recipient)?;
    let by = shown(&underway.contents.recipient(field.recipient)?.name);
    let value = act.values.iter().find(|value| value.field == field.id).map(|value| shown(&value.value));
    let stands_empty =
        matches!(field.kind, FieldKind::Signature | FieldKind::Checkbox | FieldKind::Radio { .. });
    (value.is_some() || stands_empty).then_some(Filled { field, by, value })
}

/// A personal value, or that it was erased.
fn shown(value: &Veiled) -> &str {
    value.value().map_or("[erased]", |value| value.disclose().as_str())
}
