//! How blocks of webhooks are written: what is asked for, and what is shown of them.

use countersign_core::{
    refusal::{Code, Refusal},
    webhook::{class::Class, standing::BlockReason},
};
use countersign_store::webhook_rows::BlockRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer;
use crate::envelopes::Answer;

/// What to block. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBlockBody {
    /// `envelope`, `recipient`, `evidence` or `security`; everything that this environment sends, if it is left out.
    class: Option<String>,
    /// `compromised`, `wrong_receiver`, `overload` or `incident`.
    reason: String,
}

/// What to release. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// The class whose block is taken away; the block of everything, if it is left out.
    class: Option<String>,
}

impl NewBlockBody {
    pub(super) fn class(&self) -> Result<Option<Class>, Refusal> {
        class(self.class.as_deref())
    }

    pub(super) fn reason(&self) -> Result<BlockReason, Refusal> {
        reason(&self.reason)
    }
}

impl ReleaseBody {
    pub(super) fn class(&self) -> Result<Option<Class>, Refusal> {
        class(self.class.as_deref())
    }
}

fn class(text: Option<&str>) -> Result<Option<Class>, Refusal> {
    let unknown = || {
        let sentence = "`class` is `envelope`, `recipient`, `evidence` or `security`; leave it out for all";
        Refusal::at(Code::Invalid, "/class", sentence)
    };
    text.map(|text| Class::parse(text).ok_or_else(unknown)).transpose()
}

/// Why something is blocked.
pub(super) fn reason(text: &str) -> Result<BlockReason, Refusal> {
    BlockReason::parse(text).ok_or_else(|| {
        let sentence = "`reason` is `compromised`, `wrong_receiver`, `overload` or `incident`";
        Refusal::at(Code::Invalid, "/reason", sentence)
    })
}

/// Blocks as they are shown.
#[derive(Serialize, ToSchema)]
pub(super) struct BlocksBody {
    /// All that concern the environment.
    blocks: Vec<BlockedBody>,
}

/// A block as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct BlockedBody {
    /// How far it goes: `class`, `organization` (all of the environment) or `everywhere` (the whole server).
    reach: &'static str,
    /// Of which class alone; null if of all.
    class: Option<&'static str>,
    /// `compromised`, `wrong_receiver`, `overload` or `incident`.
    reason: &'static str,
    /// Who set it, and alone takes it away: `organization`, or `operator` for whoever runs the server.
    holder: &'static str,
    /// Since when.
    created_at: String,
}

impl BlocksBody {
    pub(super) fn of(rows: &[BlockRow]) -> Self {
        let blocked = |row: &BlockRow| BlockedBody {
            reach: row.key.block().reach(),
            class: row.key.class.map(Class::text),
            reason: row.reason.text(),
            holder: row.key.holder.text(),
            created_at: row.created_at.to_string(),
        };
        Self { blocks: rows.iter().map(blocked).collect() }
    }
}

/// The answer to an act on blocks: all that there are afterwards.
pub(super) fn shown(rows: &[BlockRow]) -> Answer {
    answer(200, None, &BlocksBody::of(rows))
}
