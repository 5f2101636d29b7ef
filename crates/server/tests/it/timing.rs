//! Whether times tell things apart: samples that are taken in turns, and a rank test between them that is seen to notice a
//! difference which is planted.

use std::{future::Future, time::Instant};

/// Tries of each kind.
pub(crate) const TRIES: usize = 2_000;
/// How far the chance that one takes longer than another may be from a half.
const MARGIN: f64 = 0.1;

/// How long something took, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "this measures time as a stranger would")]
pub(crate) async fn timed<T>(what: impl Future<Output = T>) -> (u64, T) {
    let begin = Instant::now();
    let came = what.await;
    (begin.elapsed().as_nanos().try_into().unwrap(), came)
}

/// The chance that a value of `left` is greater than one of `right` (Mann–Whitney U over the number of pairs).
fn chance_of_longer(left: &[u64], right: &[u64]) -> f64 {
    let mut all: Vec<(u64, bool)> =
        left.iter().map(|value| (*value, true)).chain(right.iter().map(|value| (*value, false))).collect();
    all.sort_unstable();
    // Nanoseconds seldom tie; those that do count in the order of the sort, which is the same for both sides on average.
    let rank_sum: f64 =
        all.iter().zip(1_u32..).filter(|((_, is_left), _)| *is_left).map(|(_, rank)| f64::from(rank)).sum();
    let size = |values: &[u64]| f64::from(u32::try_from(values.len()).unwrap());
    let (m, n) = (size(left), size(right));
    (rank_sum - m * (m + 1.0) / 2.0) / (m * n)
}

/// Samples of things that should take as long as each other.
pub(crate) struct Samples<const KINDS: usize> {
    names: [&'static str; KINDS],
    taken: [Vec<u64>; KINDS],
    planted: Vec<u64>,
}

impl<const KINDS: usize> Samples<KINDS> {
    /// Takes [`TRIES`] of each kind: `ask` is given the kind's place, or `None` for the planted one, and the number of the
    /// try, and says how long it took. Each goes first as often as the others, so that what the machine does besides, and
    /// what came right before, is the same for all.
    pub(crate) async fn take(
        names: [&'static str; KINDS],
        mut ask: impl AsyncFnMut(Option<usize>, usize) -> u64,
    ) -> Self {
        let (mut taken, mut planted) = (names.map(|_| Vec::new()), Vec::new());
        for number in 0..TRIES {
            for turn in 0..KINDS {
                let kind = (number + turn) % KINDS;
                taken[kind].push(ask(Some(kind), number).await);
            }
            if number % 4 == 0 {
                planted.push(ask(None, number).await);
            }
        }
        Self { names, taken, planted }
    }

    /// Fails if any two of them are told apart, or if the planted one is not.
    pub(crate) fn are_alike(&self) {
        let kinds: Vec<_> = self.names.iter().zip(&self.taken).collect();
        let mut told = Vec::new();
        for (place, (left_name, left)) in kinds.iter().enumerate() {
            for (right_name, right) in &kinds[place + 1..] {
                let chance = chance_of_longer(left, right);
                if (chance - 0.5).abs() >= MARGIN {
                    told.push(format!("{left_name} takes longer than {right_name}: {chance:.3}"));
                }
            }
            let chance = chance_of_longer(&self.planted, left);
            if (chance - 0.5).abs() < MARGIN {
                told.push(format!("the planted one is like {left_name}: {chance:.3}"));
            }
        }
        assert!(told.is_empty(), "{told:?}");
    }
}
