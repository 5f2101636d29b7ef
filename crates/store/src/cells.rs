//! Reads the columns of a row into values. The backends give the cells, the mapping is the same for both: a cell
//! that cannot be read is a [`Fault::CorruptRow`] that names table, column and row, never the value.

use std::ops::Range;

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{
        CodeId, CorrelationId, DocumentId, EnvelopeId, JobId, LinkId, MailId, OrganizationId, PersonId,
        RecipientId, SessionId,
    },
    scope::Scopes,
    secret::HashedToken,
    time::Time,
};

use crate::{
    fault::Fault,
    rows::{
        ArtifactRow, CodeRow, DocumentRow, EnvelopeRow, IdempotencyClaim, IdempotencyState, JobRow, KeyRow,
        LeafRow, LinkRow, MailboxRow, OpeningRow, OrganizationRow, PersonRow, SessionRow, StoredAnswer,
        StoredEvent, Work,
    },
};

/// The cells of one row of a named table. The first column of every query is the row's key.
pub(crate) trait Cells: Sized {
    /// The table that the row is of.
    fn table(&self) -> &'static str;

    /// The first column as text, for faults.
    fn key(&self) -> String;

    /// A column of bytes, or why it is none.
    fn bytes_or_null(&self, column: &'static str) -> Result<Option<Vec<u8>>, String>;

    /// A column of integers, or why it is none.
    fn integer_or_null(&self, column: &'static str) -> Result<Option<i64>, String>;

    /// A column of text, or why it is none.
    fn text_or_null(&self, column: &'static str) -> Result<Option<String>, String>;

    /// A column of truth values, or why it is none.
    fn flag_or_null(&self, column: &'static str) -> Result<Option<bool>, String>;

    /// The part of a joined row that is of `table`, found by [`part_of`]: columns of several tables are called alike.
    fn part(&self, table: &'static str) -> Self;

    /// The fault for a cell that cannot be read.
    fn corrupt(&self, column: &'static str, reason: impl Into<String>) -> Fault {
        Fault::CorruptRow { table: self.table(), column, row: self.key(), reason: reason.into() }
    }

    /// Turns what a backend said about a cell into a value or a fault.
    fn present<T>(&self, column: &'static str, cell: Result<Option<T>, String>) -> Result<T, Fault> {
        match cell {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.corrupt(column, "it is NULL")),
            Err(reason) => Err(self.corrupt(column, reason)),
        }
    }

    /// Bytes.
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>, Fault> {
        self.present(column, self.bytes_or_null(column))
    }

    /// Text.
    fn text(&self, column: &'static str) -> Result<String, Fault> {
        self.present(column, self.text_or_null(column))
    }

    /// Text, or NULL.
    fn optional_text(&self, column: &'static str) -> Result<Option<String>, Fault> {
        self.text_or_null(column).map_err(|reason| self.corrupt(column, reason))
    }

    /// Bytes, or NULL.
    fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, Fault> {
        self.bytes_or_null(column).map_err(|reason| self.corrupt(column, reason))
    }

    /// A truth value.
    fn flag(&self, column: &'static str) -> Result<bool, Fault> {
        self.present(column, self.flag_or_null(column))
    }

    /// Exactly `N` bytes.
    fn fixed<const N: usize>(&self, column: &'static str) -> Result<[u8; N], Fault> {
        self.optional_fixed(column)?.ok_or_else(|| self.corrupt(column, "it is NULL"))
    }

    /// Exactly `N` bytes, or NULL.
    fn optional_fixed<const N: usize>(&self, column: &'static str) -> Result<Option<[u8; N]>, Fault> {
        let Some(bytes) = self.optional_bytes(column)? else { return Ok(None) };
        let fixed = bytes.try_into().map_err(|wrong: Vec<u8>| {
            self.corrupt(column, format!("it has {} bytes instead of {N}", wrong.len()))
        })?;
        Ok(Some(fixed))
    }

    /// An integer of a narrower or unsigned type.
    fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Fault> {
        let wide = self.present(column, self.integer_or_null(column))?;
        T::try_from(wide).map_err(|_| self.corrupt(column, "it is out of range"))
    }

    /// An integer of a narrower or unsigned type, or NULL.
    fn optional_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let cell = self.integer_or_null(column).map_err(|reason| self.corrupt(column, reason))?;
        cell.map(|wide| T::try_from(wide).map_err(|_| self.corrupt(column, "it is out of range"))).transpose()
    }

    /// A moment.
    fn time(&self, column: &'static str) -> Result<Time, Fault> {
        Ok(Time::from_unix_ms(self.number(column)?))
    }

    /// A digest.
    fn digest(&self, column: &'static str) -> Result<Digest, Fault> {
        Ok(Digest(self.fixed(column)?))
    }

    /// The tenant columns.
    fn tenant(&self) -> Result<Tenant, Fault> {
        let environment = Environment::parse(&self.text("environment")?)
            .ok_or_else(|| self.corrupt("environment", "it is no environment"))?;
        Ok(Tenant::of_stored_row(OrganizationId::from_bytes(self.fixed("organization")?), environment))
    }

    /// The column of scopes.
    fn scopes(&self) -> Result<Scopes, Fault> {
        let text = self.text("scopes")?;
        Scopes::parse(&text).map_err(|_| self.corrupt("scopes", "it has an unknown scope"))
    }

    /// The envelope column.
    fn envelope(&self) -> Result<EnvelopeId, Fault> {
        Ok(EnvelopeId::from_bytes(self.fixed("envelope")?))
    }
}

/// An event with its place in the log.
pub(crate) fn event(cells: &impl Cells) -> Result<StoredEvent, Fault> {
    Ok(StoredEvent {
        seq: cells.number("seq")?,
        bytes: cells.bytes("bytes")?,
        hash: cells.digest("hash")?,
        leaf_id: cells.fixed("leaf_id")?,
        log_index: cells.optional_number("leaf_index")?,
    })
}

/// A projection.
pub(crate) fn envelope(cells: &impl Cells) -> Result<EnvelopeRow, Fault> {
    Ok(EnvelopeRow {
        envelope: cells.envelope()?,
        status: cells.text("status")?,
        created_at: cells.time("created_at")?,
        changed_at: cells.time("changed_at")?,
        expires_at: cells.optional_number("expires_at")?.map(Time::from_unix_ms),
        title: cells.digest("title")?,
        last_seq: cells.number("last_seq")?,
    })
}

/// An opening.
pub(crate) fn opening(cells: &impl Cells) -> Result<OpeningRow, Fault> {
    Ok(OpeningRow {
        tenant: cells.tenant()?,
        envelope: cells.envelope()?,
        commitment: cells.digest("commitment")?,
        person: PersonId::from_bytes(cells.fixed("person")?),
        sealed: cells.bytes("sealed")?,
    })
}

/// A person.
pub(crate) fn person(cells: &impl Cells) -> Result<PersonRow, Fault> {
    Ok(PersonRow {
        tenant: cells.tenant()?,
        person: PersonId::from_bytes(cells.fixed("person")?),
        lookup: cells.digest("lookup")?,
        wrapped_key: cells.bytes("wrapped_key")?,
    })
}

/// An organization.
pub(crate) fn organization(cells: &impl Cells) -> Result<OrganizationRow, Fault> {
    Ok(OrganizationRow {
        organization: OrganizationId::from_bytes(cells.fixed("organization")?),
        name: cells.text("name")?,
        wrapped_key: cells.bytes("wrapped_key")?,
        created_at: cells.time("created_at")?,
    })
}

/// A document.
pub(crate) fn document(cells: &impl Cells) -> Result<DocumentRow, Fault> {
    Ok(DocumentRow {
        tenant: cells.tenant()?,
        document: DocumentId::from_bytes(cells.fixed("document")?),
        sha256: cells.digest("sha256")?,
        size_bytes: cells.number("size_bytes")?,
        blob: cells.text("blob")?,
        wrapped_key: cells.bytes("wrapped_key")?,
        inspection: cells.bytes("inspection")?,
        person: PersonId::from_bytes(cells.fixed("person")?),
        created_at: cells.time("created_at")?,
    })
}

/// A link.
pub(crate) fn link(cells: &impl Cells) -> Result<LinkRow, Fault> {
    Ok(LinkRow {
        tenant: cells.tenant()?,
        link: LinkId::from_bytes(cells.fixed("link")?),
        envelope: cells.envelope()?,
        recipient: RecipientId::from_bytes(cells.fixed("recipient")?),
        secret: HashedToken::from_bytes(cells.fixed("secret")?),
        sealed_secret: cells.bytes("sealed_secret")?,
        expires_at: cells.time("expires_at")?,
    })
}

/// A session.
pub(crate) fn session(cells: &impl Cells) -> Result<SessionRow, Fault> {
    Ok(SessionRow {
        tenant: cells.tenant()?,
        session: SessionId::from_bytes(cells.fixed("session")?),
        cookie: HashedToken::from_bytes(cells.fixed("cookie")?),
        envelope: cells.envelope()?,
        recipient: RecipientId::from_bytes(cells.fixed("recipient")?),
        nonce: cells.digest("nonce")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
    })
}

/// A code.
pub(crate) fn code(cells: &impl Cells) -> Result<CodeRow, Fault> {
    Ok(CodeRow {
        tenant: cells.tenant()?,
        code: CodeId::from_bytes(cells.fixed("code")?),
        session: SessionId::from_bytes(cells.fixed("session")?),
        mac: cells.digest("mac")?,
        sealed_digits: cells.bytes("sealed_digits")?,
        expires_at: cells.time("expires_at")?,
    })
}

/// An artifact.
pub(crate) fn artifact(cells: &impl Cells) -> Result<ArtifactRow, Fault> {
    Ok(ArtifactRow {
        tenant: cells.tenant()?,
        envelope: cells.envelope()?,
        document: cells.optional_fixed("document")?.map(DocumentId::from_bytes),
        sha256: cells.digest("sha256")?,
        size_bytes: cells.number("size_bytes")?,
        blob: cells.text("blob")?,
        wrapped_key: cells.bytes("wrapped_key")?,
    })
}

/// A mail with its position.
pub(crate) fn mail(cells: &impl Cells) -> Result<(u64, MailboxRow), Fault> {
    let row = MailboxRow {
        tenant: cells.tenant()?,
        mail: MailId::from_bytes(cells.fixed("mail")?),
        at: cells.time("at")?,
        sealed: cells.bytes("sealed")?,
    };
    Ok((cells.number("position")?, row))
}

/// A server key.
pub(crate) fn server_key(cells: &impl Cells) -> Result<KeyRow, Fault> {
    Ok(KeyRow {
        name: cells.text("name")?,
        purpose: cells.text("purpose")?,
        wrapped_key: cells.bytes("wrapped_key")?,
        public: cells.text("public")?,
        created_at: cells.time("created_at")?,
    })
}

/// A leased job.
pub(crate) fn job(cells: &impl Cells) -> Result<JobRow, Fault> {
    let work = serde_json::from_str(&cells.text("work")?)
        .map_err(|_| cells.corrupt("work", "it is no job that this program knows"))?;
    Ok(JobRow {
        tenant: cells.tenant()?,
        job: JobId::from_bytes(cells.fixed("job")?),
        work,
        correlation: CorrelationId::from_bytes(cells.fixed("correlation")?),
        attempt_count: cells.number("attempt_count")?,
        fence: cells.number("fence")?,
    })
}

/// A leaf that waits.
pub(crate) fn leaf(cells: &impl Cells) -> Result<LeafRow, Fault> {
    Ok(LeafRow {
        envelope: cells.envelope()?,
        seq: cells.number("seq")?,
        hash: cells.digest("hash")?,
        leaf_id: cells.fixed("leaf_id")?,
    })
}

/// Where a claimed idempotency key stands, seen from a claim that did not get it.
pub(crate) fn idempotency(cells: &impl Cells, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault> {
    if cells.digest("fingerprint")? != claim.fingerprint {
        return Ok(IdempotencyState::Mismatch);
    }
    Ok(answer(cells)?.map_or(IdempotencyState::InFlight, IdempotencyState::Answered))
}

/// Claims from this moment or before, in milliseconds since 1970, can be taken over by `claim`.
pub(crate) fn stale_before(claim: &IdempotencyClaim) -> i64 {
    claim.now.unix_ms().saturating_sub(claim.stale_after_ms)
}

/// A stored answer, or `None` while there is none.
fn answer(cells: &impl Cells) -> Result<Option<StoredAnswer>, Fault> {
    let Some(status) = cells.optional_number("status")? else { return Ok(None) };
    let location = cells.optional_text("location")?;
    Ok(Some(StoredAnswer { status, location, sealed_body: cells.bytes("sealed_body")? }))
}

/// The column that holds what a job does.
pub(crate) fn work_text(work: &Work) -> Result<String, Fault> {
    serde_json::to_string(work).map_err(|error| Fault::Contradiction(format!("a job has no text: {error}")))
}

/// The fault for a leaf that is not in the queue of the log, or is another one there.
pub(crate) fn not_waiting(leaf: &LeafRow) -> Fault {
    Fault::Contradiction(format!("event {} of {} does not wait for the log", leaf.seq, leaf.envelope))
}

/// An unsigned number as the databases keep it.
pub(crate) fn signed(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Contradiction("a number does not fit into 63 bits".into()))
}

/// A limit as the databases take it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Where the part of a table is among the columns of a joined row: after the column that is called like the table and a
/// colon, up to the next of such columns.
pub(crate) fn part_of<'name>(columns: impl Iterator<Item = &'name str>, table: &str) -> Range<usize> {
    let (mut part, mut is_within) = (0..0, false);
    for (at, column) in columns.enumerate() {
        match column.strip_suffix(':') {
            Some(_) if is_within => break,
            Some(begins) => {
                is_within = begins == table;
                part = at + 1..at + 1;
            }
            None if is_within => part.end = at + 1,
            None => {}
        }
    }
    if is_within { part } else { 0..0 }
}
