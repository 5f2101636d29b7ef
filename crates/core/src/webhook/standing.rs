//! The states that a webhook endpoint goes through. It is told of events while it is active, and active for live events only
//! after its receiver was proven to refuse what it must (W-9). What blocks it is beside its state, so that a release brings
//! back what was.

use serde::{Deserialize, Serialize};

use crate::{
    access::Environment,
    refusal::{Code, Refusal},
};

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// It answered that it is gone for good (410).
    Gone,
    /// Nothing was delivered to it for days, and everything failed.
    Failing,
    /// Somebody with the power did it.
    ByHand,
}

impl DisableReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Failing, Self::ByHand];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::ByHand => "by_hand",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}

/// Why deliveries were blocked: they are kept, and go out when they are released (M-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// The receiver, or a secret that it holds, may be in the hands of others.
    Compromised,
    /// Messages go where they should not.
    WrongReceiver,
    /// There is too much of it.
    Overload,
    /// Something else is looked into.
    Incident,
}

impl BlockReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Compromised, Self::WrongReceiver, Self::Overload, Self::Incident];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Compromised => "compromised",
            Self::WrongReceiver => "wrong_receiver",
            Self::Overload => "overload",
            Self::Incident => "incident",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}

/// Where an endpoint is in its life. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum State {
    /// It is told of nothing before it is activated. Once it was called otherwise.
    #[serde(alias = "unproven")]
    Inactive,
    /// It is told of events.
    Active,
    /// It is told of nothing until somebody activates it again.
    Disabled(DisableReason),
    /// It is told of nothing any more.
    Ended,
}

impl State {
    /// As it is written, without the reason.
    pub fn text(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Disabled(_) => "disabled",
            Self::Ended => "ended",
        }
    }
}

/// What decides whether an endpoint is told of events and sent messages. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Where it is in its life.
    pub state: State,
    /// Whether its receiver refused what it must (W-9), at this address and with this profile.
    pub is_proven: bool,
    /// Why its deliveries are blocked, if they are: beside the state, so that a release brings back what was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockReason>,
    /// Whether it was told of events before its receiver became another: what comes until the next proof is parked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
}

impl Standing {
    /// Of a new endpoint.
    pub const NEW: Self = Self { state: State::Inactive, is_proven: false, blocked: None, is_held: false };

    /// Whether events become deliveries to it. Blocked ones do: they are parked, and none is lost.
    pub fn is_told(&self) -> bool {
        self.state == State::Active
    }

    /// Whether its deliveries go out.
    pub fn is_sent(&self) -> bool {
        self.is_told() && self.blocked.is_none()
    }

    /// Whether what it is told of waits: it was blocked, or its receiver is to be proven anew.
    pub fn is_parked(&self) -> bool {
        self.is_told() && self.blocked.is_some() || self.state == State::Inactive && self.is_held
    }

    /// Whether tests and the probes of a receiver go out.
    pub fn is_tested(&self) -> bool {
        self.state != State::Ended && self.blocked.is_none()
    }

    fn unless_ended(self) -> Result<Self, Refusal> {
        if self.state == State::Ended {
            return Err(refused("the endpoint has ended: create another"));
        }
        Ok(self)
    }

    /// After its receiver refused what it must.
    pub fn proved(self) -> Result<Self, Refusal> {
        Ok(Self { is_proven: true, ..self.unless_ended()? })
    }

    /// After its receiver took what it must refuse, or refused what it must take: an older proof holds no more. One that is told of
    /// events goes on: events that nobody is told of are lost, and whoever asked for the probes has the report, and the power to
    /// disable it. Once it is disabled, live events wait for the next proof.
    pub fn disproved(self) -> Result<Self, Refusal> {
        Ok(Self { is_proven: false, ..self.unless_ended()? })
    }

    /// After somebody wants events to go out. For live events that takes the proof.
    pub fn activated(self, environment: Environment) -> Result<Self, Refusal> {
        self.unless_ended()?;
        if self.state == State::Active {
            return Err(refused("the endpoint is active already"));
        }
        if environment == Environment::Live && !self.is_proven {
            let sentence = "the receiver has not been proven: run the probes, and mend what the report names";
            return Err(Refusal::new(Code::WebhookUnproven, sentence));
        }
        Ok(Self { state: State::Active, is_held: false, ..self })
    }

    /// After somebody, or its answers, disabled it.
    pub fn disabled(self, reason: DisableReason) -> Result<Self, Refusal> {
        self.unless_ended()?;
        if self.state != State::Active {
            return Err(refused("the endpoint is not active, so there is nothing to disable"));
        }
        Ok(Self { state: State::Disabled(reason), ..self })
    }

    /// After a change that leaves the receiver the same.
    pub fn changed(self) -> Result<Self, Refusal> {
        self.unless_ended()
    }

    /// After a change to another receiver: what was proven is of the one before, so live events wait for the next proof.
    pub fn moved(self, environment: Environment) -> Result<Self, Refusal> {
        self.unless_ended()?;
        let state = match environment {
            Environment::Sandbox => self.state,
            Environment::Live => State::Inactive,
        };
        let is_held = self.is_held || self.is_told() && state == State::Inactive;
        Ok(Self { state, is_proven: false, is_held, ..self })
    }

    /// After it was ended.
    pub fn ended(self) -> Result<Self, Refusal> {
        Ok(Self { state: State::Ended, ..self.unless_ended()? })
    }

    /// After its deliveries were blocked.
    pub fn blocked(self, reason: BlockReason) -> Result<Self, Refusal> {
        self.unless_ended()?;
        if self.blocked.is_some() {
            return Err(refused("the endpoint is blocked already"));
        }
        Ok(Self { blocked: Some(reason), ..self })
    }

    /// After its deliveries were released.
    pub fn released(self) -> Result<Self, Refusal> {
        self.unless_ended()?;
        if self.blocked.is_none() {
            return Err(refused("the endpoint is not blocked, so there is nothing to release"));
        }
        Ok(Self { blocked: None, ..self })
    }
}

fn refused(sentence: &str) -> Refusal {
    Refusal::new(Code::WebhookState, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// W-9: live events take the proof, of this very receiver; in the sandbox an endpoint may be tried without it.
    #[test]
    fn an_endpoint_goes_live_after_its_proof() {
        let refusal = Standing::NEW.activated(Environment::Live).unwrap_err();
        assert_eq!(refusal.code, Code::WebhookUnproven);
        assert!(Standing::NEW.activated(Environment::Sandbox).unwrap().is_sent());
        let live = Standing::NEW.proved().unwrap().activated(Environment::Live).unwrap();
        assert!(live.is_told() && live.is_sent());
        let moved = live.moved(Environment::Live).unwrap();
        assert!(!moved.is_told(), "the address is another one");
        assert_eq!(moved.activated(Environment::Live).unwrap_err().code, Code::WebhookUnproven);
        assert!(moved.is_parked(), "what it would have been told of waits");
        assert!(!Standing::NEW.moved(Environment::Live).unwrap().is_parked(), "it was told of nothing");
        let back = moved.proved().unwrap().activated(Environment::Live).unwrap();
        assert_eq!((back.is_sent(), back.is_held), (true, false));
        let doubted = live.disproved().unwrap();
        assert_eq!(
            (doubted.is_sent(), doubted.is_proven),
            (true, false),
            "no event is lost because somebody asked"
        );
        assert_eq!(doubted.proved(), Ok(live));
        let disabled = |standing: Standing| standing.disabled(DisableReason::ByHand).unwrap();
        for waiting in [disabled(live).disproved().unwrap(), disabled(doubted)] {
            assert_eq!(waiting.activated(Environment::Live).unwrap_err().code, Code::WebhookUnproven);
        }
        let in_sandbox = Standing::NEW.activated(Environment::Sandbox).unwrap();
        assert!(in_sandbox.moved(Environment::Sandbox).unwrap().is_sent());
    }

    /// W-5: what was disabled is told of nothing until somebody activates it again, and what has ended never is.
    #[test]
    fn each_state_has_its_ways_out() {
        let active = Standing::NEW.activated(Environment::Sandbox).unwrap();
        for reason in DisableReason::ALL {
            assert_eq!(DisableReason::parse(reason.text()), Some(reason));
            let disabled = active.disabled(reason).unwrap();
            assert!(!disabled.is_told() && disabled.is_tested());
            assert_eq!(disabled.disabled(reason).unwrap_err().code, Code::WebhookState);
            assert_eq!(disabled.activated(Environment::Sandbox), Ok(active));
        }
        assert!(
            Standing::NEW.disabled(DisableReason::ByHand).is_err()
                && active.activated(Environment::Live).is_err()
        );
        let ended = active.ended().unwrap();
        let ways = [
            ended.proved(),
            ended.disproved(),
            ended.activated(Environment::Sandbox),
            ended.disabled(DisableReason::ByHand),
            ended.moved(Environment::Sandbox),
            ended.ended(),
            ended.blocked(BlockReason::Incident),
            ended.released(),
        ];
        for way in ways {
            assert!(way.unwrap_err().sentence.contains("ended"));
        }
        assert!(!ended.is_told() && !ended.is_tested());
    }

    /// W-5: a block is beside the state: events still become deliveries, and a release brings back what was.
    #[test]
    fn a_block_parks_and_a_release_restores() {
        let active = Standing::NEW.activated(Environment::Sandbox).unwrap();
        for before in [Standing::NEW, active, active.disabled(DisableReason::Gone).unwrap()] {
            for reason in BlockReason::ALL {
                assert_eq!(BlockReason::parse(reason.text()), Some(reason));
                let blocked = before.blocked(reason).unwrap();
                assert_eq!((blocked.is_told(), blocked.is_sent()), (before.is_told(), false));
                assert!(!blocked.is_tested() && blocked.blocked(reason).is_err());
                assert_eq!(blocked.released(), Ok(before));
            }
            assert!(before.released().is_err());
        }
        let blocked = active.blocked(BlockReason::Incident).unwrap();
        let disabled = blocked.disabled(DisableReason::ByHand).unwrap();
        assert!(!disabled.activated(Environment::Sandbox).unwrap().is_sent(), "activation is no release");
    }

    #[test]
    fn the_stored_form_is_this() {
        let blocked = Standing::NEW.blocked(BlockReason::Overload).unwrap();
        let disabled = Standing { state: State::Disabled(DisableReason::ByHand), is_proven: true, ..blocked };
        for (standing, json) in [
            (Standing::NEW, r#"{"state":{"name":"inactive"},"is_proven":false}"#),
            (
                disabled,
                r#"{"state":{"name":"disabled","reason":"by_hand"},"is_proven":true,"blocked":"overload"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&standing).unwrap(), json);
            assert_eq!(serde_json::from_str::<Standing>(json).unwrap(), standing);
        }
        let before = r#"{"state":{"name":"unproven"},"is_proven":false}"#;
        assert_eq!(serde_json::from_str::<Standing>(before).unwrap(), Standing::NEW, "as it was called once");
    }

    proptest! {
        /// W-9: by whatever way, no live endpoint without a proof becomes one that is told of events; and one that loses its proof
        /// while it is told goes on until it is stopped for another reason.
        #[test]
        fn no_way_leads_around_the_proof(ways in proptest::collection::vec(0_u8..9, 0..40)) {
            let mut standing = Standing::NEW;
            for way in ways {
                let before = standing;
                let next = match way {
                    0 => standing.proved(),
                    1 | 2 => standing.activated(Environment::Live),
                    3 => standing.disabled(DisableReason::ByHand),
                    4 | 5 => standing.moved(Environment::Live),
                    6 => standing.blocked(BlockReason::Incident),
                    7 => standing.disproved(),
                    _ => standing.released(),
                };
                standing = next.unwrap_or(standing);
                prop_assert!(standing.is_proven || !standing.is_told() || before.is_told());
                prop_assert!(standing.blocked.is_none() || !standing.is_sent());
            }
        }
    }
}
