//! What a receiver must show before live events go to it (W-9): that it accepts a right message and refuses a forged, a stale, a
//! replayed and a tampered one, one with the id and the time of another, and one with a wrong key id. The same probes run from
//! the command line.

mod advice;
mod answers;

pub use answers::{Answer, Answers};
use serde::{Deserialize, Serialize};

/// A message that a receiver is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Signed by somebody else, in the name of the receiver's key.
    Forged,
    /// Right, and ten minutes old.
    Stale,
    /// Changed after it was signed.
    Tampered,
    /// Sent with the id and the timestamp of another message than was signed.
    Swapped,
    /// Signed by a key that the receiver does not hold, which it names.
    WrongKeyId,
    /// Right.
    Good,
    /// The right one again, byte for byte.
    Replayed,
}

/// Which message a probe sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A new one, with an id and an attempt of its own: so that nothing but the mutation is a reason to refuse it.
    New,
    /// The headers and the body of [`Probe::Good`], as they were sent.
    SameAsGood,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The endpoint's key.
    Own,
    /// A key that was made for this probe.
    Stranger,
}

/// What `webhook-key-id` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedKey {
    /// The endpoint's key.
    Own,
    /// The key that was made for this probe: the receiver cannot know it.
    Stranger,
}

/// What a probe sends, as how it differs from a right message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Which message.
    pub message: Message,
    /// Who signs it, with every scheme of the profile.
    pub signer: Signer,
    /// Which key it names.
    pub named_key: NamedKey,
    /// How old its timestamp is, in seconds; it is signed with it.
    pub age_s: i64,
    /// Whether a byte within a text of the body is another one than was signed: it is JSON all the same.
    pub is_body_changed: bool,
    /// Whether its id and its timestamp are others than were signed: both are in form, and the timestamp is of this moment.
    pub is_place_changed: bool,
}

/// How old the stale message is: twice the window.
const STALE_S: i64 = 600;

impl Probe {
    /// All probes, in the order in which they are sent. The right message comes after the wrong ones, so that whoever blocks the
    /// sender at the first wrong message, and would refuse live events after one that a stranger sent, is found out; its replay
    /// comes last and at once.
    pub const ALL: [Self; 7] = [
        Self::Forged,
        Self::Stale,
        Self::Tampered,
        Self::Swapped,
        Self::WrongKeyId,
        Self::Good,
        Self::Replayed,
    ];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::Tampered => "tampered",
            Self::Swapped => "swapped",
            Self::WrongKeyId => "wrong_key_id",
            Self::Good => "good",
            Self::Replayed => "replayed",
        }
    }

    /// What it sends.
    pub fn mutation(self) -> Mutation {
        let right = Mutation {
            message: Message::New,
            signer: Signer::Own,
            named_key: NamedKey::Own,
            age_s: 0,
            is_body_changed: false,
            is_place_changed: false,
        };
        match self {
            Self::Good => right,
            Self::Forged => Mutation { signer: Signer::Stranger, ..right },
            Self::Stale => Mutation { age_s: STALE_S, ..right },
            Self::Tampered => Mutation { is_body_changed: true, ..right },
            Self::Swapped => Mutation { is_place_changed: true, ..right },
            Self::WrongKeyId => Mutation { signer: Signer::Stranger, named_key: NamedKey::Stranger, ..right },
            Self::Replayed => Mutation { message: Message::SameAsGood, ..right },
        }
    }

    /// What a receiver does with it that can be trusted.
    fn right_reaction(self) -> Reaction {
        if self == Self::Good { Reaction::Accepted } else { Reaction::Refused }
    }
}

/// What a receiver did with a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It took it (2xx).
    Accepted,
    /// It refused it (4xx).
    Refused,
    /// Neither: it failed, sent us elsewhere, asked to come later, or did not answer.
    Unclear,
}

impl Reaction {
    /// Of a status. 429 speaks of how often, and not of what.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            429 => Self::Unclear,
            400..=499 => Self::Refused,
            _ => Self::Unclear,
        }
    }
}

/// What one probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What it should.
    Passed,
    /// The opposite.
    Failed,
    /// Nothing.
    Unclear,
}

impl Finding {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unclear => "unclear",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which probe.
    pub probe: Probe,
    /// What came back.
    pub answer: Answer,
    /// What it showed.
    pub finding: Finding,
    /// What to do; empty where it passed.
    pub advice: String,
}

/// What all probes showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each probe, in their order.
    pub lines: Vec<Line>,
}

impl Report {
    /// Judges the answers.
    pub fn of(answers: &Answers) -> Self {
        let is_good_taken = answers.to(Probe::Good).reaction() == Reaction::Accepted;
        let lines = Probe::ALL.map(|probe| line(probe, answers.to(probe), is_good_taken));
        Self { lines: lines.into() }
    }

    /// Whether the receiver is proven: every probe showed what it should.
    pub fn is_proven(&self) -> bool {
        Probe::ALL.iter().all(|probe| {
            self.lines.iter().any(|line| line.probe == *probe && line.finding == Finding::Passed)
        })
    }

    /// The probes that showed the opposite of what they should.
    pub fn failed(&self) -> Vec<Probe> {
        self.lines.iter().filter(|line| line.finding == Finding::Failed).map(|line| line.probe).collect()
    }
}

fn line(probe: Probe, answer: Answer, is_good_taken: bool) -> Line {
    let reaction = answer.reaction();
    let finding = match reaction {
        Reaction::Unclear => Finding::Unclear,
        // What was refused the first time may be refused again for the same reason.
        _ if probe == Probe::Replayed && !is_good_taken => Finding::Unclear,
        reaction if reaction == probe.right_reaction() => Finding::Passed,
        _ => Finding::Failed,
    };
    let advice = match finding {
        Finding::Passed => String::new(),
        Finding::Failed => probe.advice().to_owned(),
        Finding::Unclear => advice::unclear(probe, answer),
    };
    Line { probe, answer, finding, advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A receiver that is as good as the wire format asks for.
    const CAREFUL: [(Probe, Option<u16>); 7] = [
        (Probe::Forged, Some(401)),
        (Probe::Stale, Some(408)),
        (Probe::Tampered, Some(401)),
        (Probe::Swapped, Some(401)),
        (Probe::WrongKeyId, Some(401)),
        (Probe::Good, Some(204)),
        (Probe::Replayed, Some(409)),
    ];

    fn but(probe: Probe, status: Option<u16>) -> Answers {
        let answer =
            |(one, careful): (Probe, Option<u16>)| (one, if one == probe { status } else { careful });
        Answers::of(&CAREFUL.map(answer))
    }

    fn all(status: impl Fn(Probe) -> Option<u16>) -> Answers {
        Answers::of(&Probe::ALL.map(|probe| (probe, status(probe))))
    }

    fn findings(report: &Report) -> Vec<Finding> {
        report.lines.iter().map(|line| line.finding).collect()
    }

    /// W-9: a careful receiver is proven, and there is nothing to mend.
    #[test]
    fn a_careful_receiver_is_proven() {
        let report = Report::of(&Answers::of(&CAREFUL));
        assert!(report.is_proven() && report.lines.iter().all(|line| line.advice.is_empty()));
    }

    /// W-9: one careless answer and a receiver is not proven; the report says which, and what to do.
    #[test]
    fn each_carelessness_is_named() {
        for probe in Probe::ALL {
            let (wrong, unclear) = if probe == Probe::Good { (400, 500) } else { (200, 503) };
            for (status, finding) in [
                (Some(wrong), Finding::Failed),
                (Some(unclear), Finding::Unclear),
                (Some(429), Finding::Unclear),
                (Some(307), Finding::Unclear),
                (Some(101), Finding::Unclear),
                (None, Finding::Unclear),
            ] {
                let report = Report::of(&but(probe, status));
                assert!(!report.is_proven(), "{probe:?} {status:?}");
                for line in &report.lines {
                    let is_it = line.probe == probe;
                    let depends = line.probe == Probe::Replayed && probe == Probe::Good;
                    let expected = if is_it {
                        finding
                    } else if depends {
                        Finding::Unclear
                    } else {
                        Finding::Passed
                    };
                    assert_eq!(line.finding, expected, "{probe:?} {status:?} {:?}", line.probe);
                    assert_eq!(line.advice.is_empty(), expected == Finding::Passed);
                }
            }
        }
    }

    /// W-9: who takes everything, refuses everything, or says nothing is not proven; nor is who was not asked everything.
    #[test]
    fn whoever_does_the_same_to_all_is_not_proven() {
        for status in [Some(200), Some(400), Some(401), Some(404), Some(500), Some(429), None] {
            assert!(!Report::of(&all(|_| status)).is_proven(), "{status:?}");
        }
        for missing in 0..CAREFUL.len() {
            let mut answers = CAREFUL.to_vec();
            answers.remove(missing);
            assert!(!Report::of(&Answers::of(&answers)).is_proven());
        }
        assert_eq!(findings(&Report::of(&Answers::default())), [Finding::Unclear; 7]);
        assert!(!Report { lines: Vec::new() }.is_proven());
    }

    /// W-9: each probe differs from a right message in what it is called after, and in nothing else.
    #[test]
    fn a_probe_is_wrong_in_one_way() {
        let right = Probe::Good.mutation();
        let lines: Vec<String> =
            Probe::ALL.iter().map(|probe| format!("{}: {:?}", probe.text(), probe.mutation())).collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert!(Probe::ALL.iter().all(|probe| *probe == Probe::Good || probe.mutation() != right));
    }

    /// W-9: what the report says, for people who mend a receiver.
    #[test]
    fn the_advice_is_this() {
        let careless = |probe| if probe == Probe::Good { Some(401) } else { Some(200) };
        let all = [
            Report::of(&all(careless)),
            Report::of(&all(|_| None)),
            Report::of(&but(Probe::Replayed, Some(200))),
            Report::of(&but(Probe::Good, Some(302))),
            Report::of(&but(Probe::Stale, Some(429))),
            Report::of(&but(Probe::Forged, Some(500))),
            Report::of(&Answers::of(&[(Probe::Forged, None)])),
        ];
        let lines = all.iter().flat_map(|report| &report.lines).filter(|line| !line.advice.is_empty());
        let lines: Vec<String> = lines
            .map(|line| format!("{} {}: {}", line.probe.text(), line.finding.text(), line.advice))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    proptest! {
        /// W-9: whatever is answered, only these answers prove a receiver.
        #[test]
        fn nothing_else_proves_a_receiver(statuses in proptest::array::uniform7(proptest::option::of(
            prop_oneof![Just(200_u16), Just(204), Just(401), Just(408), Just(409), 0_u16..700]
        ))) {
            let answers: Vec<_> = Probe::ALL.into_iter().zip(statuses).collect();
            let is_right = answers.iter().all(|(probe, status)| status.is_some_and(|status| match probe {
                Probe::Good => (200..300).contains(&status),
                _ => (400..500).contains(&status) && status != 429,
            }));
            let answers = Answers::of(&answers);
            prop_assert_eq!(Report::of(&answers).is_proven(), is_right);
            let kept = serde_json::to_string(&answers).unwrap();
            prop_assert_eq!(serde_json::from_str::<Answers>(&kept).unwrap(), answers);
        }
    }
}
