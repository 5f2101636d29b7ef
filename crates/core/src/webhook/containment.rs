//! What keeps deliveries back besides the state of their endpoint (M-3): blocks of a class, of all of an organization, and of
//! everything. Whether a delivery goes out, waits or is over is decided here and nowhere else: it goes out if nothing stops it.

use super::{
    class::{Class, Classes},
    standing::{Standing, State},
};
use crate::{
    access::Environment,
    id::OrganizationId,
    refusal::{Code, Refusal},
};

/// Who set a block, and alone may take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Whoever runs the server.
    Operator,
    /// The organization itself.
    Organization,
}

impl Holder {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Organization => "organization",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Organization].into_iter().find(|holder| holder.text() == text)
    }
}

/// How far a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// In which environment of which organization; everywhere if there is none.
    pub of: Option<(OrganizationId, Environment)>,
    /// Of which class alone; of all if there is none.
    pub class: Option<Class>,
}

impl Block {
    /// How far it goes, in a word.
    pub fn reach(&self) -> &'static str {
        match (self.of, self.class) {
            (Some(_), Some(_)) => "class",
            (Some(_), None) => "organization",
            (None, _) => "everywhere",
        }
    }
}

/// The classes of events that these blocks stop in an environment of an organization.
pub fn stopped(
    blocks: impl IntoIterator<Item = Block>,
    organization: OrganizationId,
    environment: Environment,
) -> Classes {
    let here = |block: &Block| block.of.is_none_or(|of| of == (organization, environment));
    let of = |block: Block| block.class.map_or(Classes::ALL, |class| Classes::of(&[class])).iter();
    blocks.into_iter().filter(here).flat_map(of).collect()
}

/// What becomes of a delivery that was not accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes out.
    Goes,
    /// It is kept until somebody releases it, or makes a key that signs it.
    Waits,
    /// Nobody is told of it any more.
    Over,
}

/// Decides it for a delivery of `class` to an endpoint that stands so, where `stopped` are blocked; `is_signed` says whether the
/// endpoint has a key.
pub fn fate(standing: Standing, is_signed: bool, stopped: Classes, class: Class) -> Fate {
    match (standing.is_sent(), standing.is_parked(), stopped.has(class) || !is_signed) {
        (true, _, false) => Fate::Goes,
        (true, _, true) | (false, true, _) => Fate::Waits,
        (false, false, _) => Fate::Over,
    }
}

/// Lets tests and the probes of a receiver go out, or says what stops them and who takes it away.
pub fn check_tested(standing: Standing, stopped: Classes) -> Result<(), Refusal> {
    let sentence = if standing.state == State::Ended {
        "nothing is sent to an endpoint that has ended: create another"
    } else if standing.blocked.is_some() {
        "nothing is sent while the endpoint is blocked: release it first"
    } else if stopped.has(Class::Test) {
        "nothing is sent while all messages of the organization, or of this server, are blocked: whoever set the block releases it \
         (see the blocks of the organization)"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::WebhookState, sentence))
}

/// Whether they go out.
pub fn is_tested(standing: Standing, stopped: Classes) -> bool {
    check_tested(standing, stopped).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::standing::{BlockReason, DisableReason};

    const OURS: OrganizationId = OrganizationId::from_bytes([1; 16]);
    const THEIRS: OrganizationId = OrganizationId::from_bytes([2; 16]);
    const LIVE: Environment = Environment::Live;
    const SANDBOX: Environment = Environment::Sandbox;

    /// M-3: each block stops what it names, there, and nothing else; several stop all that one of them does.
    #[test]
    fn a_block_stops_what_it_names() {
        let of = |of, class| Block { of, class };
        let here = Some((OURS, LIVE));
        let recipients = Classes::of(&[Class::Recipient]);
        let both = Classes::of(&[Class::Recipient, Class::Security]);
        let table: [(&[Block], Classes); 8] = [
            (&[], Classes::NONE),
            (&[of(here, Some(Class::Recipient))], recipients),
            (&[of(here, Some(Class::Recipient)), of(here, Some(Class::Security))], both),
            (&[of(here, None)], Classes::ALL),
            (&[of(None, None)], Classes::ALL),
            (&[of(Some((OURS, SANDBOX)), None)], Classes::NONE),
            (&[of(Some((THEIRS, LIVE)), None), of(here, Some(Class::Recipient))], recipients),
            (&[of(None, Some(Class::Recipient)), of(Some((THEIRS, LIVE)), None)], recipients),
        ];
        for (blocks, expected) in table {
            assert_eq!(stopped(blocks.iter().copied(), OURS, LIVE), expected, "{blocks:?}");
        }
        assert_eq!(of(here, Some(Class::Recipient)).reach(), "class");
        assert_eq!((of(here, None).reach(), of(None, None).reach()), ("organization", "everywhere"));
    }

    /// M-3: a delivery goes out only if nothing stops it, and what is stopped is kept.
    #[test]
    fn a_delivery_goes_out_if_nothing_stops_it() {
        let active = Standing::NEW.activated(SANDBOX).unwrap();
        let blocked = active.blocked(BlockReason::Incident).unwrap();
        let moved = Standing::NEW.proved().unwrap().activated(LIVE).unwrap().moved(LIVE).unwrap();
        let disabled = active.disabled(DisableReason::ByHand).unwrap();
        let (none, class) = (Classes::NONE, Classes::of(&[Class::Envelope]));
        let table = [
            (active, none, Fate::Goes, true),
            (active, Classes::of(&[Class::Recipient]), Fate::Goes, true),
            (active, class, Fate::Waits, true),
            (active, Classes::ALL, Fate::Waits, false),
            (blocked, none, Fate::Waits, false),
            (blocked, class, Fate::Waits, false),
            (moved, none, Fate::Waits, true),
            (moved, Classes::ALL, Fate::Waits, false),
            (disabled, none, Fate::Over, true),
            (disabled, Classes::ALL, Fate::Over, false),
            (Standing::NEW, class, Fate::Over, true),
            (active.ended().unwrap(), none, Fate::Over, false),
        ];
        for (standing, stopped, expected, tested) in table {
            assert_eq!(fate(standing, true, stopped, Class::Envelope), expected, "{standing:?} {stopped:?}");
            let unsigned = if expected == Fate::Goes { Fate::Waits } else { expected };
            assert_eq!(fate(standing, false, stopped, Class::Envelope), unsigned, "{standing:?} {stopped:?}");
            assert_eq!(is_tested(standing, stopped), tested, "{standing:?} {stopped:?}");
        }
        for (standing, stopped, words) in [
            (active.ended().unwrap(), Classes::ALL, "create another"),
            (blocked, Classes::ALL, "release it first"),
            (active, Classes::ALL, "whoever set the block"),
        ] {
            let sentence = check_tested(standing, stopped).unwrap_err().sentence;
            assert!(sentence.contains(words), "each cause has its own way out: {sentence}");
        }
        for holder in [Holder::Operator, Holder::Organization] {
            assert_eq!(Holder::parse(holder.text()), Some(holder));
        }
    }
}
