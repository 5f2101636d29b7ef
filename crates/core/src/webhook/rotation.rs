//! The life of the keys of an endpoint (W-2), and the gate in it: an old key retires only after a receiver accepted what the new
//! one alone had signed. So no right message is ever refused because a receiver did not have the key yet.
//!
//! | step | by whom | what changes |
//! |---|---|---|
//! | stage | somebody with the power | a new key is published; it does not sign (of an endpoint without one: it signs) |
//! | join | the same, when the receiver has it | both sign |
//! | prove | a test that it alone signed was accepted | nothing yet: the gate is open |
//! | promote | somebody with the power, or the server after the proof | the new key is first; the old one signs until the overlap is over |
//! | retire | the clock | the old key signs no more, and is published no more |
//! | revoke | somebody with the power | a key is gone at once; the other one, if there is one, signs alone |

use serde::{Deserialize, Serialize};

use crate::{
    id::{EndpointId, WebhookKeyId},
    limits,
    refusal::{Code, Refusal},
    security::SecurityBody,
    time::Time,
};

/// Where a key is in its life. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "until", rename_all = "snake_case", deny_unknown_fields)]
pub enum State {
    /// Published; it does not sign yet.
    Staged,
    /// It signs beside the one that it is to replace.
    Dual,
    /// It signs.
    Primary,
    /// It signs beside the one that replaced it, until then.
    Retiring(Time),
    /// Gone in its time.
    Retired,
    /// Gone before its time.
    Revoked,
}

impl State {
    /// As it is written, without the time.
    pub fn text(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Dual => "dual",
            Self::Primary => "primary",
            Self::Retiring(_) => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    /// The state at `now`: a key whose time is over is gone, also before somebody has written it down.
    #[must_use]
    pub fn at(self, now: Time) -> Self {
        match self {
            Self::Retiring(until) if until <= now => Self::Retired,
            other => other,
        }
    }

    /// Whether it is published.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Retired | Self::Revoked)
    }
}

/// A key, without what it signs with. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Which.
    pub id: WebhookKeyId,
    /// Where it is in its life.
    pub state: State,
    /// When a receiver accepted what it alone had signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Time>,
}

/// A step that was taken: what is to be written down of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key was made.
    Staged(WebhookKeyId),
    /// A key signs too.
    Joined(WebhookKeyId),
    /// A key was proven.
    Proven(WebhookKeyId),
    /// A key is first, and the one before it signs until then.
    Promoted {
        /// Which.
        key: WebhookKeyId,
        /// The one before it.
        retiring: WebhookKeyId,
        /// Until when that signs.
        until: Time,
    },
    /// A key retired.
    Retired(WebhookKeyId),
    /// A key was revoked.
    Revoked(WebhookKeyId),
}

impl Step {
    /// The security event of this step.
    pub fn event(self, endpoint: EndpointId) -> SecurityBody {
        match self {
            Self::Staged(key) => SecurityBody::WebhookKeyStaged { endpoint, key },
            Self::Joined(key) => SecurityBody::WebhookKeyJoined { endpoint, key },
            Self::Proven(key) => SecurityBody::WebhookKeyProven { endpoint, key },
            Self::Promoted { key, retiring, until } => {
                let (retiring, until) = (Some(retiring), Some(until));
                SecurityBody::WebhookKeyPromoted { endpoint, key, retiring, until }
            }
            Self::Retired(key) => SecurityBody::WebhookKeyRetired { endpoint, key },
            Self::Revoked(key) => SecurityBody::WebhookKeyRevoked { endpoint, key },
        }
    }
}

/// The keys of one endpoint, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// The keys as they are stored.
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// The same, after one of them was ended at once by itself: where that was the primary one, the other one takes its place.
    pub fn stored(keys: Vec<Key>, now: Time) -> Self {
        let mut keys = Self(keys);
        keys.fill(now);
        keys
    }

    fn fill(&mut self, now: Time) {
        if self.primary(now).is_some() {
            return;
        }
        if let Some(other) = self.find(now, |_| true) {
            self.set(other.id, State::Primary);
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Key] {
        &self.0
    }

    /// Whether any of them signs: not after all were revoked.
    pub fn is_signing(&self) -> bool {
        self.0.iter().any(|key| key.state == State::Primary)
    }

    fn live(&self, now: Time) -> impl Iterator<Item = Key> {
        let states = self.0.iter().map(move |key| Key { state: key.state.at(now), ..*key });
        states.filter(|key| key.state.is_live())
    }

    fn find(&self, now: Time, is_it: impl Fn(State) -> bool) -> Option<Key> {
        self.live(now).find(|key| is_it(key.state))
    }

    fn set(&mut self, id: WebhookKeyId, state: State) {
        self.0.iter_mut().filter(|key| key.id == id).for_each(|key| key.state = state);
    }

    fn primary(&self, now: Time) -> Option<Key> {
        self.find(now, |state| state == State::Primary)
    }

    /// The key that is to become primary: staged, or signing beside the primary one.
    fn candidate(&self, now: Time) -> Option<Key> {
        self.find(now, |state| matches!(state, State::Staged | State::Dual))
    }

    /// The keys that sign at `now`, the primary one first: one, or two, or none where all were revoked. Then nothing is sent.
    pub fn signing(&self, now: Time) -> Vec<WebhookKeyId> {
        let beside = self.find(now, |state| matches!(state, State::Dual | State::Retiring(_)));
        self.primary(now).into_iter().chain(beside).map(|key| key.id).collect()
    }

    /// The keys that are published at `now`: one or two, or none where all were revoked.
    pub fn published(&self, now: Time) -> Vec<WebhookKeyId> {
        self.live(now).map(|key| key.id).collect()
    }

    /// The key that signs a test alone: the one that is to become primary, and else the primary one.
    pub fn tested(&self, now: Time) -> Option<WebhookKeyId> {
        self.candidate(now).or_else(|| self.primary(now)).map(|key| key.id)
    }

    /// Adds a new key. An endpoint whose keys are all gone, or that had none, signs with it at once.
    pub fn stage(&mut self, id: WebhookKeyId, now: Time) -> Result<Step, Refusal> {
        if self.0.iter().any(|key| key.id == id) {
            return Err(refused("this key is there already"));
        }
        if self.live(now).count() > 1 {
            let sentence =
                "a key is being rotated: promote or revoke it, or wait until the old one is retired";
            return Err(refused(sentence));
        }
        let state = if self.primary(now).is_some() { State::Staged } else { State::Primary };
        self.0.push(Key { id, state, proven_at: None });
        Ok(Step::Staged(id))
    }

    /// The new key signs beside the primary one.
    pub fn join(&mut self, now: Time) -> Result<Step, Refusal> {
        let Some(staged) = self.find(now, |state| state == State::Staged) else {
            return Err(refused("no key is staged: stage one first"));
        };
        self.set(staged.id, State::Dual);
        Ok(Step::Joined(staged.id))
    }

    /// A receiver accepted at `now` a test that this key alone had signed. A second proof changes nothing, and neither does one of
    /// a key that is gone meanwhile.
    pub fn proved(&mut self, id: WebhookKeyId, now: Time) -> Option<Step> {
        self.live(now).find(|key| key.id == id && key.proven_at.is_none())?;
        self.0.iter_mut().filter(|key| key.id == id).for_each(|key| key.proven_at = Some(now));
        Some(Step::Proven(id))
    }

    /// The new key becomes primary; the old one signs beside it for the overlap. This is the gate: not before the proof.
    pub fn promote(&mut self, now: Time, overlap_s: i64) -> Result<Step, Refusal> {
        if !(0..=limits::WEBHOOK_KEY_OVERLAP_S).contains(&overlap_s) {
            let most = limits::WEBHOOK_KEY_OVERLAP_S / (24 * 3_600);
            let sentence = format!("the old key signs beside the new one for {most} days at most");
            return Err(Refusal::at(Code::Invalid, "/overlap_s", sentence));
        }
        let (Some(new), Some(old)) = (self.find(now, |state| state == State::Dual), self.primary(now)) else {
            let sentence = match self.find(now, |state| state == State::Staged) {
                Some(_) => "the staged key does not sign yet: have it join first",
                None => "no key is staged: stage one, have it join, and send a test",
            };
            return Err(refused(sentence));
        };
        if new.proven_at.is_none() {
            let sentence = "the receiver has not accepted the new key yet: send a test that it alone signs, and have the \
                 receiver take the key if it refuses it";
            return Err(refused(sentence));
        }
        let until = now.plus_s(overlap_s);
        self.set(new.id, State::Primary);
        self.set(old.id, State::Retiring(until));
        Ok(Step::Promoted { key: new.id, retiring: old.id, until })
    }

    /// When the next key retires, if one is to.
    pub fn next_retirement(&self) -> Option<Time> {
        self.0.iter().find_map(|key| match key.state {
            State::Retiring(until) => Some(until),
            _ => None,
        })
    }

    /// Writes down that a key's time is over.
    pub fn retire(&mut self, now: Time) -> Option<Step> {
        let over = |key: &&mut Key| key.state.is_live() && !key.state.at(now).is_live();
        let key = self.0.iter_mut().find(over)?;
        key.state = State::Retired;
        Some(Step::Retired(key.id))
    }

    /// Ends a key at once, whatever was proven: who may have it can sign. If it was the primary one, the other one takes its
    /// place; if there is none, nothing is signed or sent until another is staged.
    pub fn revoke(&mut self, id: WebhookKeyId, now: Time) -> Result<Step, Refusal> {
        let Some(revoked) = self.live(now).find(|key| key.id == id) else {
            return Err(refused("this key is gone already"));
        };
        self.set(revoked.id, State::Revoked);
        self.fill(now);
        Ok(Step::Revoked(id))
    }
}

fn refused(sentence: &str) -> Refusal {
    Refusal::new(Code::WebhookState, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_S: i64 = 24 * 3_600;

    fn begin() -> Time {
        Time::from_unix_ms(1_795_000_000_000)
    }

    fn id(number: u8) -> WebhookKeyId {
        WebhookKeyId::from_bytes([number; 16])
    }

    fn one() -> Keys {
        let mut keys = Keys::default();
        keys.stage(id(1), begin()).unwrap();
        keys
    }

    fn dual() -> Keys {
        let mut keys = one();
        keys.stage(id(2), begin()).unwrap();
        keys.join(begin()).unwrap();
        keys
    }

    /// W-2: publish, sign with both, prove, promote, retire: what signs and what is published at each step.
    #[test]
    fn a_rotation_goes_step_by_step() {
        let mut keys = one();
        let mut now = begin();
        let seen = |keys: &Keys, now| (keys.signing(now), keys.published(now), keys.tested(now));
        assert_eq!(seen(&keys, now), (vec![id(1)], vec![id(1)], Some(id(1))));
        assert_eq!(keys.stage(id(2), now), Ok(Step::Staged(id(2))));
        assert_eq!(
            seen(&keys, now),
            (vec![id(1)], vec![id(1), id(2)], Some(id(2))),
            "published before it signs"
        );
        assert_eq!(keys.join(now), Ok(Step::Joined(id(2))));
        assert_eq!(seen(&keys, now), (vec![id(1), id(2)], vec![id(1), id(2)], Some(id(2))));
        now = now.plus_s(DAY_S);
        assert_eq!(keys.proved(id(2), now), Some(Step::Proven(id(2))));
        assert_eq!(keys.proved(id(2), now.plus_s(1)), None, "one proof is enough");
        assert_eq!(keys.signing(now), [id(1), id(2)]);
        let until = now.plus_s(limits::WEBHOOK_KEY_OVERLAP_DEFAULT_S);
        let promoted = keys.promote(now, limits::WEBHOOK_KEY_OVERLAP_DEFAULT_S);
        assert_eq!(promoted, Ok(Step::Promoted { key: id(2), retiring: id(1), until }));
        assert_eq!(until.since_ms(begin()), 2 * DAY_S * 1_000);
        assert_eq!(keys.next_retirement(), Some(until));
        let before = until.plus_ms(-1);
        assert_eq!(seen(&keys, before), (vec![id(2), id(1)], vec![id(1), id(2)], Some(id(2))));
        assert_eq!(keys.retire(before), None);
        assert_eq!(
            seen(&keys, until),
            (vec![id(2)], vec![id(2)], Some(id(2))),
            "to the millisecond, by every server"
        );
        assert_eq!(keys.retire(until), Some(Step::Retired(id(1))));
        assert_eq!((keys.retire(until), keys.next_retirement()), (None, None));
        assert_eq!(keys.all().iter().map(|key| key.state.text()).collect::<Vec<_>>(), ["retired", "primary"]);
    }

    /// W-2: the gate: an old key never retires before the new one is proven, however long anybody waits.
    #[test]
    fn nothing_is_promoted_before_its_proof() {
        let mut keys = dual();
        let late = begin().plus_s(400 * DAY_S);
        let refusal = keys.promote(late, 0).unwrap_err();
        assert!(refusal.code == Code::WebhookState && refusal.sentence.contains("test"), "{refusal}");
        assert_eq!(keys.proved(id(1), late), Some(Step::Proven(id(1))));
        assert!(keys.promote(late, 0).is_err(), "the proof of another key is none");
        assert_eq!(keys.retire(late), None);
        assert_eq!(keys.signing(late), [id(1), id(2)]);
        keys.proved(id(2), late);
        assert!(keys.promote(late, 0).is_ok());
        assert_eq!(keys.signing(late), [id(2)], "without an overlap the old one is gone at once");
    }

    /// W-2: the overlap is 0 to 30 days.
    #[test]
    fn an_overlap_has_its_bounds() {
        for (overlap_s, fits) in
            [(0, true), (30 * DAY_S, true), (-1, false), (30 * DAY_S + 1, false), (i64::MAX, false)]
        {
            let mut keys = dual();
            keys.proved(id(2), begin());
            let promoted = keys.promote(begin(), overlap_s);
            assert_eq!(promoted.is_ok(), fits);
            let pointer = promoted.err().and_then(|refusal| refusal.pointer);
            assert_eq!(pointer.as_deref(), (!fits).then_some("/overlap_s"));
        }
    }

    /// W-2: two keys at most, and each step from the state before it alone.
    #[test]
    fn steps_out_of_order_are_refused() {
        let mut keys = one();
        assert!(keys.join(begin()).is_err() && keys.promote(begin(), 0).is_err());
        assert!(keys.stage(id(1), begin()).is_err(), "a key is made once");
        keys.stage(id(2), begin()).unwrap();
        assert!(keys.promote(begin(), 0).is_err(), "it does not sign yet");
        assert!(keys.stage(id(3), begin()).unwrap_err().sentence.contains("rotated"));
        keys.join(begin()).unwrap();
        assert!(keys.join(begin()).is_err());
        keys.proved(id(2), begin());
        keys.promote(begin(), DAY_S).unwrap();
        assert!(keys.stage(id(3), begin()).is_err() && keys.promote(begin(), 0).is_err());
        let over = begin().plus_s(DAY_S);
        assert_eq!(
            keys.stage(id(3), over),
            Ok(Step::Staged(id(3))),
            "also before the retirement was written down"
        );
    }

    /// M-3: a key that may be known to others is gone at once, and the other one signs alone.
    #[test]
    fn a_revoked_key_signs_nothing() {
        let now = begin();
        let mut keys = one();
        keys.stage(id(2), now).unwrap();
        assert_eq!(keys.revoke(id(1), now), Ok(Step::Revoked(id(1))));
        assert_eq!(
            (keys.signing(now), keys.published(now)),
            (vec![id(2)], vec![id(2)]),
            "staged, and needed now"
        );
        assert!(keys.revoke(id(1), now).is_err());
        let mut keys = dual();
        keys.revoke(id(2), now).unwrap();
        assert_eq!(
            (keys.signing(now), keys.published(now)),
            (vec![id(1)], vec![id(1)]),
            "a rotation is taken back"
        );
        let mut keys = dual();
        keys.proved(id(2), now);
        keys.promote(now, DAY_S).unwrap();
        keys.revoke(id(2), now).unwrap();
        let later = now.plus_s(2 * DAY_S);
        assert_eq!(
            (keys.signing(later), keys.next_retirement()),
            (vec![id(1)], None),
            "the old one stays after all"
        );
        keys.revoke(id(1), later).unwrap();
        assert!(
            keys.signing(later).is_empty()
                && keys.published(later).is_empty()
                && keys.tested(later).is_none()
        );
        assert_eq!(keys.proved(id(1), later), None);
        keys.stage(id(4), later).unwrap();
        assert_eq!(keys.signing(later), [id(4)], "the next one signs at once");
    }

    /// W-2: every step has its event.
    #[test]
    fn every_step_is_an_event() {
        let endpoint = EndpointId::from_bytes([9; 16]);
        let until = begin();
        let steps = [
            (Step::Staged(id(1)), "webhook_key.staged"),
            (Step::Joined(id(1)), "webhook_key.joined"),
            (Step::Proven(id(1)), "webhook_key.proven"),
            (Step::Promoted { key: id(2), retiring: id(1), until }, "webhook_key.promoted"),
            (Step::Retired(id(1)), "webhook_key.retired"),
            (Step::Revoked(id(1)), "webhook_key.revoked"),
        ];
        for (step, kind) in steps {
            assert_eq!(step.event(endpoint).kind(), kind);
        }
    }

    #[test]
    fn the_stored_form_is_this() {
        let key = |state, proven_at| Key { id: id(0), state, proven_at };
        for (key, json) in [
            (
                key(State::Retiring(begin()), Some(begin())),
                r#"{"id":"whk_00000000000000000000000000","state":{"name":"retiring","until":"2026-11-18T11:06:40.000Z"},"proven_at":"2026-11-18T11:06:40.000Z"}"#,
            ),
            (key(State::Dual, None), r#"{"id":"whk_00000000000000000000000000","state":{"name":"dual"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&key).unwrap(), json);
            assert_eq!(serde_json::from_str::<Key>(json).unwrap(), key);
        }
    }

    proptest! {
        /// W-2: whatever is asked in whatever order and at whatever times: two live keys at most, one primary among them, one or
        /// two that sign, and no key retires while no proven one signs.
        #[test]
        fn no_order_of_steps_leads_around_the_gate(
            steps in proptest::collection::vec((0_u8..8, 0_i64..40, 0_i64..31, 0_u8..6), 0..60),
        ) {
            let (mut keys, mut now, mut next) = (Keys::default(), begin(), 1);
            for (step, days, overlap_days, which) in steps {
                now = now.plus_s(days * DAY_S / 4);
                let retired_before = keys.all().iter().filter(|key| key.state.at(now) == State::Retired).count();
                match step {
                    0 | 1 => next += u8::from(keys.stage(id(next), now).is_ok()),
                    2 => drop(keys.join(now)),
                    3 => drop(keys.tested(now).map(|key| keys.proved(key, now))),
                    4 | 5 => drop(keys.promote(now, overlap_days * DAY_S)),
                    6 => drop(keys.retire(now)),
                    _ => drop(keys.revoke(id(next.saturating_sub(which)), now)),
                }
                for at in [now, now.plus_s(DAY_S), now.plus_s(31 * DAY_S)] {
                    let live: Vec<_> = keys.live(at).collect();
                    let primaries = live.iter().filter(|key| key.state == State::Primary).count();
                    prop_assert!(live.len() <= 2);
                    prop_assert_eq!(primaries, usize::from(!live.is_empty()));
                    prop_assert_eq!(keys.signing(at).is_empty(), live.is_empty());
                    let signing = keys.signing(at);
                    prop_assert!(signing.len() <= 2 && signing.iter().all(|id| keys.published(at).contains(id)));
                    let retired = keys.all().iter().filter(|key| key.state.at(at) == State::Retired).count();
                    let is_proven = keys.primary(at).is_some_and(|key| key.proven_at.is_some());
                    prop_assert!(retired == retired_before || is_proven, "a retirement needs a proven successor");
                }
            }
        }
    }
}
