//! Random sequences of commands: each is drawn from few identities, so that commands meet what others left.

use std::fmt::{Debug, Write as _};

use countersign_core::{
    id::{CodeId, DocumentId, LinkId, PersonId, SessionId},
    time::Time,
};
use countersign_store::{
    Batch, CommitError, Fault, Store,
    access_rows::{Change, Ending},
    batch::{Append, Row},
    rows::{
        EnvelopeQuery, FinishedIdempotency, IdempotencyClaim, IdempotencyState, JobRow, LeafRow, PutBack,
        TileRow,
    },
};

use crate::{access_command, dice::Dice, rows};

/// Identities of each kind that the commands are about.
const STREAMS: u64 = 6;
const TENANTS: u64 = 4;
const FEW: u64 = 5;

/// One call of the store. What depends on earlier answers is named by position, and filled in by [`Runner`].
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Commit { batch: Box<Batch>, goes_on: bool, finishes: Option<u64>, answers: Option<u64> },
    Load { of: u64, stream: u64 },
    Find { of: u64, query: EnvelopeQuery },
    Openings { of: u64, stream: u64, numbers: Vec<u64> },
    Rows { of: u64, number: u64 },
    Persons { of: u64, numbers: Vec<u64> },
    Secrets { number: u64, stream: u64 },
    Server,
    EndKey { number: u64, now: Time },
    Touch { number: u64, now: Time, end: Time },
    Mailbox { of: u64, limit: usize },
    Claim { of: u64, key: u64, fingerprint: u64, claim: u64, now: Time },
    Release { of: u64, key: u64, claim: u64 },
    Lease { now: Time, lease_ms: i64, limit: usize },
    PutBack { held: u64, due_at: Time, was_attempt: bool },
    NextDue,
    NextLeaves { limit: usize },
    Publish { count: usize, wrong_size: bool, wrong_leaf: bool, width: u64 },
    Log { index: u64 },
    Care { after: Option<u64>, limit: usize },
    Tokens { of: u64, number: u64, before: Option<u64> },
    People { of: u64, number: u64 },
    Security { of: u64, before: Option<u64>, limit: usize },
    TouchAccess { number: u64, salt: u64 },
}

/// Draws a command; `step` moves the clock.
pub(crate) fn draw(dice: &mut Dice, step: u64) -> Command {
    let of = dice.below(TENANTS);
    let stream = dice.below(STREAMS);
    let now = rows::at(step * 10);
    match dice.below(53) {
        0..=13 | 48..=52 => commit(dice, of, stream, step),
        14..=16 => Command::Load { of, stream },
        17..=18 => Command::Find { of, query: envelope_query(dice) },
        19 => Command::Openings { of, stream, numbers: dice.some_of(8) },
        20..=21 => Command::Rows { of, number: dice.below(FEW) },
        22 => Command::Persons { of, numbers: dice.some_of(FEW) },
        23 => Command::Secrets { number: dice.below(FEW), stream },
        24 => Command::Server,
        25 => Command::Touch {
            number: dice.below(FEW),
            now: rows::at(dice.below(2_000)),
            end: rows::at(dice.below(2_000)),
        },
        26 => Command::Mailbox { of, limit: dice.size(4) },
        27..=29 => Command::Claim {
            of,
            key: dice.below(2),
            fingerprint: u64::from(dice.below(6) == 0),
            claim: dice.below(4),
            now,
        },
        30 => Command::Release { of, key: dice.below(3), claim: dice.below(4) },
        31..=33 => {
            // Now and then a day passes, or a month, so that what ended is swept.
            let days = [1, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0][dice.size(12)];
            let now = now.plus_s(days * 86_400);
            Command::Lease { now, lease_ms: 40, limit: dice.size(4) }
        }
        34 => Command::PutBack {
            held: dice.below(6),
            due_at: rows::at(step * 10 + dice.below(80)),
            was_attempt: dice.below(2) == 0,
        },
        35 => Command::NextDue,
        36 => Command::NextLeaves { limit: dice.size(5) },
        37 => Command::Publish {
            count: dice.size(4),
            wrong_size: dice.below(6) == 0,
            wrong_leaf: dice.below(6) == 0,
            width: dice.below(4),
        },
        38 => Command::Log { index: dice.below(20) },
        39 => Command::EndKey { number: dice.below(9), now: rows::at(dice.below(120)) },
        40 => Command::Care { after: dice.maybe(STREAMS), limit: dice.size(5) },
        41..=43 => Command::Tokens { of: dice.below(2), number: dice.below(6), before: dice.maybe(6) },
        44 => Command::People { of, number: dice.below(6) },
        45..=46 => Command::Security { of, before: dice.maybe(6), limit: dice.size(4) },
        _ => Command::TouchAccess { number: dice.below(9), salt: dice.below(60) },
    }
}

fn envelope_query(dice: &mut Dice) -> EnvelopeQuery {
    EnvelopeQuery {
        status: dice.maybe(3).map(|at| rows::STATUSES[usize::try_from(at).unwrap()].to_owned()),
        before: dice.maybe(STREAMS).map(rows::envelope),
        limit: dice.size(4),
    }
}

fn commit(dice: &mut Dice, of: u64, stream: u64, step: u64) -> Command {
    let append = (dice.below(3) > 0).then(|| {
        // Streams belong to a tenant each, most of the time.
        let of = if dice.below(8) == 0 { of } else { stream % TENANTS };
        rows::append(of, stream, 1 + dice.below(6), 1 + dice.below(3), step)
    });
    let rows = (0..dice.below(4)).map(|_| row(dice, of, stream)).collect();
    let jobs = (0..dice.below(3))
        .map(|_| rows::job(of, dice.below(8), rows::at(step * 10 + dice.below(60))))
        .collect();
    let answers = (dice.below(4) == 0).then(|| dice.below(3));
    let finishes = (dice.below(5) == 0).then(|| dice.below(6));
    let goes_on = dice.below(4) > 0;
    let mut batch = Box::new(Batch { append, rows, jobs, ..Batch::default() });
    access_command::draw(dice, of, &mut batch);
    Command::Commit { batch, goes_on, finishes, answers }
}

fn row(dice: &mut Dice, of: u64, stream: u64) -> Row {
    let end = rows::at(dice.below(2_000));
    let number = dice.below(FEW);
    match dice.below(28) {
        14..=27 => access_command::row(dice, of),
        0 => rows::organization(dice.below(20)),
        1 => rows::person(of, dice.below(12), dice.below(12)),
        2..=4 => rows::opening(of, stream, dice.below(8), number),
        5 => rows::document(of, dice.below(12)),
        6 => rows::api_key(of, dice.below(9), dice.below(9)),
        7 => rows::link(of, dice.below(20), stream, dice.below(2), dice.below(20)),
        8 => rows::session(of, dice.below(9), dice.below(9), end),
        9 => rows::code(of, dice.below(9), end),
        10 => rows::artifact(of, stream, dice.maybe(3)),
        11..=12 => rows::mail(of, dice.below(12)),
        _ => rows::server_key(dice.below(20), dice.below(20)),
    }
}

/// Runs commands on one store and gives answers as text, alike for all stores.
#[derive(Default)]
pub(crate) struct Runner {
    held: Vec<JobRow>,
    claims: Vec<IdempotencyClaim>,
}

/// Faults are compared by kind: their sentences are the backends' own.
pub(crate) fn told<T: Debug>(answer: Result<T, Fault>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(Fault::Contradiction(_)) => "a contradiction".to_owned(),
        Err(fault) => panic!("{fault:?}"),
    }
}

impl Runner {
    fn held(&self, number: u64) -> Option<&JobRow> {
        let recent = usize::try_from(number).unwrap();
        self.held.iter().rev().nth(recent)
    }

    fn claimed(&self, number: u64) -> Option<FinishedIdempotency> {
        let recent = usize::try_from(number).unwrap();
        self.claims.iter().rev().nth(recent).map(|claim| rows::answer(claim, number))
    }

    /// Does it.
    #[expect(clippy::too_many_lines, reason = "one arm for each method of the store")]
    pub(crate) async fn run(&mut self, store: &dyn Store, command: &Command) -> String {
        match command.clone() {
            Command::Commit { mut batch, goes_on, finishes, answers } => {
                batch.finishes = finishes.and_then(|number| self.held(number).cloned());
                batch.answers = answers.and_then(|number| self.claimed(number));
                if let Some(append) = batch.append.as_mut().filter(|_| goes_on) {
                    go_on(store, append).await;
                }
                if goes_on {
                    access_command::go_on(store, &mut batch).await;
                }
                match store.commit(*batch).await {
                    Ok(committed) => format!("{committed:?}"),
                    Err(CommitError::Fault(fault)) => told::<()>(Err(fault)),
                    Err(refusal) => format!("{refusal:?}"),
                }
            }
            Command::Load { of, stream } => {
                let (tenant, envelope) = (rows::tenant(of), rows::envelope(stream));
                let (loaded, head) =
                    (store.load(&tenant, envelope).await, store.head(&tenant, envelope).await.unwrap());
                let last =
                    loaded.as_ref().ok().and_then(Option::as_ref).and_then(|stream| stream.events.last());
                assert_eq!(head, last.map(|event| event.hash));
                told(loaded)
            }
            Command::Find { of, query } => told(store.find_envelopes(&rows::tenant(of), &query).await),
            Command::Openings { of, stream, numbers } => {
                let asked: Vec<_> = numbers
                    .iter()
                    .map(|n| (rows::envelope(stream), rows::digest("commitment", *n)))
                    .collect();
                told(store.openings(&rows::tenant(of), &asked).await)
            }
            Command::Rows { of, number } => {
                let (tenant, bytes) = (rows::tenant(of), rows::bytes(number));
                let document = told(store.document(&tenant, DocumentId::from_bytes(bytes)).await);
                let artifacts = told(store.artifacts(&tenant, rows::envelope(number)).await);
                let link = told(store.link_by_id(&tenant, LinkId::from_bytes(bytes)).await);
                let code = told(store.code(&tenant, CodeId::from_bytes(bytes)).await);
                [document, artifacts, link, code].join("\n")
            }
            Command::Persons { of, numbers } => {
                let lookups: Vec<_> = numbers.iter().map(|n| rows::digest("lookup", *n)).collect();
                let ids: Vec<_> = numbers.iter().map(|n| PersonId::from_bytes(rows::bytes(*n))).collect();
                let by_lookup = told(store.persons_by_lookup(&rows::tenant(of), &lookups).await);
                by_lookup + &told(store.persons(&rows::tenant(of), &ids).await)
            }
            Command::Secrets { number, stream } => {
                let key = told(store.api_key(&rows::token("key", number)).await);
                let link = told(store.link(rows::envelope(stream), &rows::token("link", number)).await);
                let session = told(store.session(&rows::token("cookie", number)).await);
                [key, link, session].join("\n")
            }
            Command::Server => {
                let one = rows::organization_id(1);
                let organization = told(store.organization(one).await);
                let all = told(store.organizations().await);
                let keys = told(store.api_keys(one).await);
                [organization, all, keys, told(store.keys().await), told(store.ping().await)].join("\n")
            }
            Command::EndKey { number, now } => {
                let what = Ending::ApiKey(rows::api_key_id(number));
                let changes = vec![Change::End { what, at: now, once: true }];
                format!("{:?}", store.commit(Batch { changes, ..Batch::default() }).await)
            }
            Command::Touch { number, now, end } => {
                told(store.touch_session(SessionId::from_bytes(rows::bytes(number)), now, end).await)
            }
            Command::Mailbox { of, limit } => mailbox(store, of, limit).await,
            Command::Claim { of, key, fingerprint, claim, now } => {
                let claim = rows::claim(of, key, fingerprint, claim, now);
                let state = store.claim_idempotency(&claim).await;
                if matches!(state, Ok(IdempotencyState::Claimed)) {
                    self.claims.push(claim);
                }
                told(state)
            }
            Command::Release { of, key, claim } => {
                told(store.release_idempotency(&rows::claim(of, key, 0, claim, rows::at(0))).await)
            }
            Command::Lease { now, lease_ms, limit } => {
                store.sweep(now).await.unwrap();
                let leased = store.claim_jobs(now, lease_ms, limit).await;
                self.held.extend(leased.as_ref().unwrap().iter().cloned());
                told(leased)
            }
            Command::PutBack { held, due_at, was_attempt } => match self.held(held) {
                Some(job) => {
                    let back = PutBack { due_at, reason: "smtp_refused".to_owned(), was_attempt };
                    told(store.put_back_job(job, &back).await)
                }
                None => String::new(),
            },
            Command::NextDue => told(store.next_due().await),
            Command::NextLeaves { limit } => told(store.next_leaves(limit).await.map(by_stream)),
            Command::Publish { count, wrong_size, wrong_leaf, width } => {
                publish(store, count, wrong_size, wrong_leaf, width).await
            }
            Command::Log { index } => {
                let places = [(0, index % 3), (255, 0), (0, index % 3), (7, 1)];
                let tiles = told(store.tiles(&places).await);
                [tiles, told(store.checkpoint().await)].join("\n")
            }
            Command::Care { after, limit } => {
                let after_name = after.map(|number| format!("originals/{number}"));
                let names = told(store.blob_names(after_name.as_deref(), limit).await);
                let live = told(store.has_live_keys(Time::from_unix_ms(0)).await);
                let after_document = after.map(|number| DocumentId::from_bytes(rows::bytes(number)));
                let documents = told(store.documents(after_document, limit).await);
                told(store.streams(after.map(rows::envelope), limit).await) + &names + &live + &documents
            }
            Command::Tokens { of, number, before } => access_command::tokens(store, of, number, before).await,
            Command::People { of, number } => access_command::people(store, of, number).await,
            Command::Security { of, before, limit } => {
                access_command::security(store, of, before, limit).await
            }
            Command::TouchAccess { number, salt } => access_command::touch(store, number, salt).await,
        }
    }
}

// Moves an append to where its stream ends.
async fn go_on(store: &dyn Store, append: &mut Append) {
    let stream = store.load(&append.tenant, append.envelope).await.unwrap();
    let next = stream.map_or(1, |stream| u64::try_from(stream.events.len()).unwrap() + 1);
    append.projection.last_seq = next + append.projection.last_seq - append.expected_seq;
    append.expected_seq = next;
}

// Positions in the mailbox may have gaps: pages are compared by their rows.
async fn mailbox(store: &dyn Store, of: u64, limit: usize) -> String {
    let (mut told, mut before) = (String::new(), None);
    loop {
        let page = store.mailbox(&rows::tenant(of), before, limit).await.unwrap();
        let rows: Vec<_> = page.rows.iter().map(|(_, row)| row).collect();
        writeln!(told, "{rows:?} {}", page.more).unwrap();
        assert!(page.rows.is_sorted_by(|one, next| one.0 > next.0), "newest first");
        match page.rows.last() {
            Some((position, _)) if page.more => before = Some(*position),
            _ => return told,
        }
    }
}

// The order within a stream is promised. The security streams of two tenants have one name.
fn by_stream(leaves: Vec<LeafRow>) -> Vec<LeafRow> {
    let is_envelope = |leaf: &LeafRow| (0..STREAMS).any(|number| rows::envelope(number) == leaf.envelope);
    for (at, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| is_envelope(leaf)) {
        let later = leaves.iter().skip(at).filter(|later| later.envelope == leaf.envelope);
        assert!(later.map(|later| later.seq).is_sorted(), "a stream out of order");
    }
    leaves
}

async fn publish(store: &dyn Store, count: usize, wrong_size: bool, wrong_leaf: bool, width: u64) -> String {
    let size = store.checkpoint().await.unwrap().map_or(0, |(size, _)| size);
    let mut leaves = store.next_leaves(count).await.unwrap();
    if wrong_leaf && let Some(leaf) = leaves.last_mut() {
        leaf.leaf_id = [0; 16];
    }
    let tile = |level, bytes| TileRow { level, index: size % 3, bytes };
    let tiles =
        [tile(0, vec![1; usize::try_from(width).unwrap() * 32 + 1]), tile(255, vec![2; 3]), tile(0, vec![3])];
    let from = size + u64::from(wrong_size);
    told(store.publish_checkpoint(from, &leaves, &tiles, &format!("note at {size}")).await)
}
