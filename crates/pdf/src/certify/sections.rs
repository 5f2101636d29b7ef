//! What the certificate says, section by section.

use super::layout::{BLACK, Block, Flow, GREY, LEFT, NAVY, RIGHT, RULE, Style, WARNING};
use super::{Certificate, CertifiedDocument, CertifiedRecipient, Environment, Moment, TimelineRow};
use crate::font::{FontSubsets, Typeface};
use crate::geometry::DisplayRect;

const BODY: Style = Style::new(Typeface::Text, 8.5, BLACK);
const STRONG: Style = Style::new(Typeface::TextBold, 8.5, BLACK);
const LABEL: Style = Style::new(Typeface::Text, 7.5, GREY);
const HASH: Style = Style::new(Typeface::Mono, 7.2, BLACK);
const CELL: Style = Style::new(Typeface::Text, 7.5, BLACK);
const CELL_GREY: Style = Style::new(Typeface::Text, 6.8, GREY);
const CELL_MONO: Style = Style::new(Typeface::Mono, 6.8, BLACK);
const WIDTH: f64 = RIGHT - LEFT;
/// Where values begin beside their labels.
const VALUE_X: f64 = LEFT + 92.0;

pub(super) fn write(certificate: &Certificate, flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    flow.block(title(certificate, subsets));
    flow.space(12.0);
    flow.block(summary(certificate, subsets));
    documents(&certificate.documents, flow, subsets);
    recipients(&certificate.recipients, flow, subsets);
    timeline(certificate, flow, subsets);
    seal_and_log(certificate, flow, subsets);
    verification(certificate, flow, subsets);
}

fn title(certificate: &Certificate, subsets: &mut FontSubsets<'_>) -> Block {
    let mut block = Block::default();
    block.seal((LEFT + 26.0, 26.0), 26.0);
    let x = LEFT + 68.0;
    let heading = Style::new(Typeface::TextBold, 19.0, NAVY);
    let mut y = block.text(subsets, heading, "Certificate of completion", (x, 0.0), RIGHT - x);
    let name = Style::new(Typeface::Text, 11.0, BLACK);
    y += block.text(subsets, name, &certificate.title, (x, y + 1.0), RIGHT - x);
    if certificate.environment == Environment::Sandbox {
        let warning = Style::new(Typeface::TextBold, 8.5, WARNING);
        y += block.text(
            subsets,
            warning,
            "Sandbox: made for testing, without legal effect.",
            (x, y + 2.0),
            RIGHT - x,
        );
    }
    let bottom = y.max(54.0) + 8.0;
    block.rule((LEFT, RIGHT), bottom, 1.2, NAVY);
    block
}

fn summary(certificate: &Certificate, subsets: &mut FontSubsets<'_>) -> Block {
    let mut block = Block::default();
    let mut y = 0.0;
    let environment = match certificate.environment {
        Environment::Live => "Live",
        Environment::Sandbox => "Sandbox",
    };
    y += pair(&mut block, subsets, y, ("Envelope", &certificate.envelope_id, HASH));
    y += pair(&mut block, subsets, y, ("Organization", &certificate.organization, BODY));
    y += pair(&mut block, subsets, y, ("Sender", &certificate.sender, BODY));
    y += pair(&mut block, subsets, y, ("Environment", environment, BODY));
    y += pair(&mut block, subsets, y, ("Sent", &spelled(&certificate.sent), BODY));
    pair(&mut block, subsets, y, ("Completed", &spelled(&certificate.completed), BODY));
    block
}

fn spelled(moment: &Moment) -> String {
    if moment.local.is_empty() { moment.utc.clone() } else { format!("{} · {}", moment.utc, moment.local) }
}

/// A label and its value; gives the height. Nothing is written for an empty value.
fn pair(
    block: &mut Block,
    subsets: &mut FontSubsets<'_>,
    y: f64,
    (label, value, style): (&str, &str, Style),
) -> f64 {
    pair_within(block, subsets, y, (label, value, style), RIGHT)
}

fn pair_within(
    block: &mut Block,
    subsets: &mut FontSubsets<'_>,
    y: f64,
    (label, value, style): (&str, &str, Style),
    right: f64,
) -> f64 {
    if value.is_empty() {
        return 0.0;
    }
    block.text(subsets, LABEL, label, (LEFT, y + 1.0), VALUE_X - LEFT - 6.0);
    // Base lines of the two styles meet.
    let lift = (BODY.size_pt - style.size_pt) * 1.07;
    block.text(subsets, style, value, (VALUE_X, y + lift), right - VALUE_X).max(12.0) + 1.6
}

/// A section heading that stays with at least `following` points of what comes after it.
fn heading(flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>, text: &str, following: f64) {
    flow.space(15.0);
    flow.need(26.0 + following);
    let mut block = Block::default();
    block.text(subsets, Style::new(Typeface::TextBold, 11.0, NAVY), text, (LEFT, 0.0), WIDTH);
    block.rule((LEFT, RIGHT), 17.5, 0.6, RULE);
    block.height = 22.0;
    flow.block(block);
}

fn documents(documents: &[CertifiedDocument], flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    heading(flow, subsets, "Documents", 34.0);
    for document in documents {
        let mut block = Block::default();
        let pages = if document.page_count == 1 { "page" } else { "pages" };
        let extent = format!("{} {pages} · {} bytes", document.page_count, grouped(document.size_bytes));
        block.text_right(subsets, BODY, &extent, (RIGHT, 0.0));
        let mut y = block.text(subsets, STRONG, &document.name, (LEFT, 0.0), WIDTH - 150.0) + 1.0;
        y += pair(&mut block, subsets, y, ("SHA-256", &document.sha256, HASH));
        block.height = y + 5.0;
        flow.block(block);
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn recipients(recipients: &[CertifiedRecipient], flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    heading(flow, subsets, "Recipients", 110.0);
    for (index, recipient) in recipients.iter().enumerate() {
        if index > 0 {
            flow.space(5.0);
        }
        flow.block(recipient_card(recipient, subsets, index > 0));
    }
}

fn recipient_card(recipient: &CertifiedRecipient, subsets: &mut FontSubsets<'_>, with_rule: bool) -> Block {
    const MARK_WIDTH: f64 = 150.0;
    const MARK_HEIGHT: f64 = 52.0;
    let mut block = Block::default();
    let mut y = 0.0;
    if with_rule {
        block.rule((LEFT, RIGHT), 0.0, 0.4, RULE);
        y = 6.0;
    }
    let mut text_right = RIGHT;
    if let Some(ink) = &recipient.mark {
        let frame = DisplayRect { x: RIGHT - MARK_WIDTH, y, width: MARK_WIDTH, height: MARK_HEIGHT };
        block.mark(ink, frame);
        text_right -= MARK_WIDTH + 12.0;
    }
    let frame_bottom = y + MARK_HEIGHT;
    let name = Style::new(Typeface::TextBold, 10.0, BLACK);
    y += block.text(subsets, name, &recipient.name, (LEFT, y), text_right - LEFT);
    y += block.text(subsets, BODY, &recipient.email, (LEFT, y), text_right - LEFT);
    let role = format!("{} · order {}", recipient.role, recipient.routing_order);
    y += block.text(subsets, LABEL, &role, (LEFT, y), text_right - LEFT) + 4.0;
    let ip = match (recipient.ip.as_str(), recipient.ip_source.as_str()) {
        (ip, "") => ip.to_owned(),
        (ip, source) => format!("{ip}  ({source})"),
    };
    let at = spelled(&recipient.at);
    // Who has no act still has a part: it stands without a time.
    let outcome =
        if at.is_empty() { ("Part", &recipient.outcome) } else { (recipient.outcome.as_str(), &at) };
    let facts = [
        outcome,
        ("Identified by", &recipient.identified),
        ("Consent", &recipient.consent),
        ("Network address", &ip),
        ("Browser", &recipient.user_agent),
    ];
    for (label, value) in facts {
        // Beside the mark a value wraps earlier; below it the whole width is free.
        let right = if y < frame_bottom { text_right } else { RIGHT };
        y += pair_within(&mut block, subsets, y, (label, value, BODY), right);
    }
    block.height = block.height.max(y) + 3.0;
    block
}

/// Left edge and width of the timeline's columns.
const COLUMNS: [(f64, f64); 5] = [
    (LEFT + 4.0, 100.0),
    (LEFT + 112.0, 106.0),
    (LEFT + 226.0, 136.0),
    (LEFT + 370.0, 66.0),
    (LEFT + 444.0, 52.0),
];

fn timeline(certificate: &Certificate, flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    heading(flow, subsets, "Timeline", 60.0);
    if !certificate.timeline_note.is_empty() {
        let mut note = Block::default();
        note.text(subsets, BODY, &certificate.timeline_note, (LEFT, 0.0), WIDTH);
        note.height += 6.0;
        flow.block(note);
    }
    let mut head = Block::default();
    let style = Style::new(Typeface::TextBold, 7.2, NAVY);
    for ((x, width), text) in
        COLUMNS.into_iter().zip(["Time", "Who", "What", "Address", "Event hash, first 16 digits"])
    {
        head.text(subsets, style, text, (x, 1.5), width);
    }
    let bottom = head.height + 3.0;
    head.height = bottom;
    head.rule((LEFT, RIGHT), bottom, 0.8, NAVY);
    let rows = certificate.timeline.iter().enumerate();
    let rows = rows.map(|(index, row)| {
        let block = timeline_row(row, subsets);
        if index % 2 == 1 { block.tinted() } else { block }
    });
    let rows = rows.collect();
    flow.table(&head, rows);
}

fn timeline_row(row: &TimelineRow, subsets: &mut FontSubsets<'_>) -> Block {
    let mut block = Block::default();
    let [time, who, what, address, hash] = COLUMNS;
    let y = 2.5;
    let below = y + block.text(subsets, CELL, &row.at.utc, (time.0, y), time.1);
    block.text(subsets, CELL_GREY, &row.at.local, (time.0, below), time.1);
    block.text(subsets, CELL, &row.actor, (who.0, y), who.1);
    block.text(subsets, CELL, &row.action, (what.0, y), what.1);
    block.text(subsets, CELL_MONO, &row.ip, (address.0, y + 0.8), address.1);
    block.text(subsets, CELL_MONO, &row.event_hash, (hash.0, y + 0.8), hash.1);
    block.height += 2.5;
    block
}

fn seal_and_log(certificate: &Certificate, flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    heading(flow, subsets, "Seal and log", 90.0);
    let (seal, log) = (&certificate.seal, &certificate.log);
    let mut block = Block::default();
    let mut y = block.text(subsets, BODY, &seal.statement, (LEFT, 0.0), WIDTH) + 4.0;
    let tree_size = format!("{} entries", grouped(log.tree_size));
    for fact in [
        ("Sealed by", seal.signer.as_str(), BODY),
        ("Certificate SHA-256", &seal.fingerprint, HASH),
        ("Log", &log.origin, HASH),
        ("Checkpoint", &tree_size, BODY),
        ("Root hash", &log.root_hash, HASH),
    ] {
        y += pair(&mut block, subsets, y, fact);
    }
    flow.block(block);
}

fn verification(certificate: &Certificate, flow: &mut Flow<'_>, subsets: &mut FontSubsets<'_>) {
    heading(flow, subsets, "How to verify", 60.0);
    let mut steps = Vec::new();
    for document in &certificate.documents {
        let name = &document.name;
        let text = format!(
            "The sealed file of {name} begins with the bytes that were uploaded. This prints their SHA-256, as given \
             under Documents:"
        );
        steps.push((text, format!("head -c {} SEALED.pdf | sha256sum", document.size_bytes)));
    }
    steps.extend(certificate.verification.iter().map(|step| (step.text.clone(), step.command.clone())));
    for (index, (text, command)) in steps.iter().enumerate() {
        let mut block = Block::default();
        block.text(subsets, STRONG, &format!("{}.", index + 1), (LEFT, 0.0), 16.0);
        let mut y = block.text(subsets, BODY, text, (LEFT + 16.0, 0.0), WIDTH - 16.0);
        y += block.text(subsets, HASH, command, (LEFT + 16.0, y + 1.0), WIDTH - 16.0);
        block.height = y + 6.0;
        flow.block(block);
    }
}
