//! The security streams: each event holds the hash of the one before it, and is the leaf of the log that it says. They are
//! read from their ends, a page at a time, because they have no bound.

use countersign_core::{access::Tenant, digest::Digest, envelope::encode::leaf, security::Placed};
use countersign_tlog::leaf_hash;

use super::{PAGE, Report, Seen};
use crate::{app::Records, fault::Fault};

/// Follows one stream backwards.
pub(super) async fn examine(
    app: &Records,
    tenant: &Tenant,
    seen: &mut Seen,
    report: &mut Report,
) -> Result<(), Fault> {
    let name = format!("the security events of {} {}", tenant.organization(), tenant.environment().text());
    let mut before = None;
    let mut expected: Option<Digest> = None;
    let mut oldest = None;
    loop {
        let page = app.store.security_events(tenant, before, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        for stored in &page {
            seen.event_count += 1;
            oldest = Some(stored.seq);
            let hash = Digest::of(&stored.bytes);
            let follows = expected.is_none_or(|expected| expected == hash) && stored.hash == hash;
            let placed = serde_json::from_slice::<Placed>(&stored.bytes).ok();
            let placed = placed.filter(|placed| follows && placed.seq == stored.seq);
            if placed.is_none() {
                report.wrong(format!("{name}: event {} does not follow, or was changed", stored.seq));
            }
            expected = placed.map(|placed| placed.previous);
            let Some(index) = stored.log_index else { continue };
            if seen.leaves.insert(index, leaf_hash(&leaf(&stored.leaf_id, &hash))).is_some() {
                report.wrong(format!("{name}: event {} shares log index {index} with another", stored.seq));
            }
        }
    }
    if oldest.is_some_and(|oldest| oldest != 1) || expected.is_some_and(|first| first != Digest([0; 32])) {
        report.wrong(format!("{name}: the stream does not begin with event 1"));
    }
    Ok(())
}
