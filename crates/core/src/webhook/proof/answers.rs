//! What a receiver answered to the probes, as it is kept.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Probe, Reaction};

/// What came back on a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// This status.
    Status(u16),
    /// No whole answer in time.
    None,
    /// The probe was not sent.
    #[default]
    NotSent,
}

impl Answer {
    /// What the receiver did.
    pub fn reaction(self) -> Reaction {
        match self {
            Self::Status(status) => Reaction::of(status),
            Self::None | Self::NotSent => Reaction::Unclear,
        }
    }

    /// The status, if there was one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::None | Self::NotSent => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::None => f.write_str("no answer"),
            Self::NotSent => f.write_str("not sent"),
        }
    }
}

/// The answers to all probes. Its JSON is a stored form: the status, or null, by the name of each probe that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers([Answer; Probe::ALL.len()]);

impl Answers {
    /// These, `None` where there was no answer. What stands twice counts as it stands last.
    pub fn of(answers: &[(Probe, Option<u16>)]) -> Self {
        let mut all = Self::default();
        for (probe, status) in answers {
            all.add(*probe, *status);
        }
        all
    }

    /// Adds the status to a probe that was sent, `None` where there was no answer.
    pub fn add(&mut self, probe: Probe, status: Option<u16>) {
        let of_probe = self.0.iter_mut().zip(Probe::ALL).filter(|(_, one)| *one == probe);
        of_probe.for_each(|(answer, _)| *answer = status.map_or(Answer::None, Answer::Status));
    }

    /// The answer to a probe.
    pub fn to(&self, probe: Probe) -> Answer {
        let found = self.0.iter().zip(Probe::ALL).find(|(_, one)| *one == probe);
        found.map_or(Answer::NotSent, |(answer, _)| *answer)
    }
}

impl Serialize for Answers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = Probe::ALL.into_iter().filter(|probe| self.to(*probe) != Answer::NotSent);
        serializer.collect_map(sent.map(|probe| (probe.text(), self.to(probe).status())))
    }
}

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A probe of another version of the server says nothing here.
        let kept = BTreeMap::<String, Option<u16>>::deserialize(deserializer)?;
        let known = Probe::ALL.into_iter().filter_map(|probe| Some((probe, *kept.get(probe.text())?)));
        Ok(Self::of(&known.collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_this() {
        let mut answers = Answers::of(&[(Probe::Forged, Some(401)), (Probe::Good, Some(500))]);
        answers.add(Probe::Good, None);
        let json = r#"{"forged":401,"good":null}"#;
        assert_eq!(serde_json::to_string(&answers).unwrap(), json);
        assert_eq!(serde_json::from_str::<Answers>(json).unwrap(), answers);
        let later = r#"{"forged":401,"good":null,"unheard_of":200}"#;
        assert_eq!(serde_json::from_str::<Answers>(later).unwrap(), answers);
        let said = [Probe::Forged, Probe::Good, Probe::Stale].map(|probe| answers.to(probe).to_string());
        assert_eq!(said, ["401", "no answer", "not sent"]);
    }
}
