//! What was fetched from a place that somebody outside names, and is kept for a while: fetched by one request at a time, and
//! not too often, however many ask and whatever they ask for.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::time::Time;

use crate::fault::Fault;

/// Places that are kept.
const PLACES: usize = 1_000;

/// For how long what was fetched is taken.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// So long it is not looked for anew, if it has what is wanted.
    pub fresh_s: i64,
    /// It is not fetched more often than this, whatever is wanted of it.
    pub again_s: i64,
    /// Where its place does not answer any more it is believed so long, and not a second longer.
    pub stale_s: i64,
}

/// What was fetched, by whose it is; or why it could not be.
pub struct Kept<K, V, E> {
    terms: Terms,
    places: Mutex<HashMap<K, Arc<Place<V, E>>>>,
}

/// One place.
struct Place<V, E> {
    address: String,
    known: Mutex<Known<V, E>>,
    /// Held by the one request that fetches.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of a place.
struct Known<V, E> {
    fetched: Option<(Arc<V>, Time)>,
    /// When it was looked for last, and why nothing was found then.
    tried: Option<(Time, Option<E>)>,
}

/// What is asked of a place: the thing, or why there is none.
type Answer<V, E> = Result<Arc<V>, Option<E>>;

fn age_s(at: Time, now: Time) -> i64 {
    now.since_ms(at) / 1_000
}

impl<V, E: Clone> Known<V, E> {
    /// The answer, if nothing need or must be fetched for it.
    fn settled(&self, terms: &Terms, now: Time, wanted: impl Fn(&Arc<V>) -> bool) -> Option<Answer<V, E>> {
        let is_fresh = |(thing, at): &&(Arc<V>, Time)| age_s(*at, now) < terms.fresh_s && wanted(thing);
        if let Some((thing, _)) = self.fetched.as_ref().filter(is_fresh) {
            return Some(Ok(Arc::clone(thing)));
        }
        let was_tried = self.tried.as_ref().is_some_and(|(at, _)| age_s(*at, now) < terms.again_s);
        was_tried.then(|| self.believed(terms, now))
    }

    /// What was fetched, as far as it is believed.
    fn believed(&self, terms: &Terms, now: Time) -> Answer<V, E> {
        match &self.fetched {
            Some((thing, at)) if age_s(*at, now) < terms.stale_s => Ok(Arc::clone(thing)),
            _ => Err(self.tried.as_ref().and_then(|(_, why)| why.clone())),
        }
    }
}

impl<V, E> Place<V, E> {
    fn known(&self) -> std::sync::MutexGuard<'_, Known<V, E>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, E> Kept<K, V, E>
where
    K: Eq + Hash + Copy,
    V: Send + Sync + 'static,
    E: Clone + Send + 'static,
{
    /// Keeps nothing yet.
    pub fn new(terms: Terms) -> Self {
        Self { terms, places: Mutex::default() }
    }

    /// What is at the address. Where what is kept is not what is `wanted`, it is looked for anew with `fetch`. The error is
    /// the one of the last fetch.
    pub async fn get<F>(
        &self,
        now: Time,
        (whose, address): (K, &str),
        wanted: impl Fn(&Arc<V>) -> bool,
        fetch: F,
    ) -> Result<Answer<V, E>, Fault>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (terms, place) = (self.terms, self.place(whose, address));
        if let Some(answer) = place.known().settled(&terms, now, &wanted) {
            return Ok(answer);
        }
        let one = Arc::clone(&place.fetching).lock_owned().await;
        // Somebody else may have fetched it meanwhile.
        if let Some(answer) = place.known().settled(&terms, now, &wanted) {
            return Ok(answer);
        }
        // Goes on if the caller hangs up: nobody makes the server fetch more often, nor keeps it from fetching.
        let fetched = Arc::clone(&place);
        let fetching = tokio::spawn(async move {
            let _one = one;
            let found = fetch.await;
            let mut known = fetched.known();
            match found {
                Ok(thing) => (known.fetched, known.tried) = (Some((Arc::new(thing), now)), Some((now, None))),
                Err(why) => known.tried = Some((now, Some(why))),
            }
        });
        fetching.await.map_err(|error| Fault::Task(error.to_string()))?;
        let answer = place.known().believed(&terms, now);
        Ok(answer)
    }

    fn place(&self, whose: K, address: &str) -> Arc<Place<V, E>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&whose).filter(|place| place.address == address) {
            return Arc::clone(place);
        }
        if places.len() >= PLACES {
            places.clear();
        }
        let place = Arc::new(Place {
            address: address.to_owned(),
            known: Mutex::new(Known { fetched: None, tried: None }),
            fetching: Arc::default(),
        });
        places.insert(whose, Arc::clone(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Poll,
    };

    use super::*;

    const TERMS: Terms = Terms { fresh_s: 60, again_s: 10, stale_s: 100 };

    struct Scene {
        kept: Kept<u8, usize, &'static str>,
        fetches: Arc<AtomicUsize>,
        begun: Time,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                kept: Kept::new(TERMS),
                fetches: Arc::default(),
                begun: Time::from_unix_ms(1_700_000_000_000),
            }
        }

        /// Asks so many seconds after the beginning for something else than `but`.
        async fn ask(&self, after_s: i64, but: usize, is_up: bool) -> Result<usize, Option<&'static str>> {
            let fetches = Arc::clone(&self.fetches);
            let fetch = async move {
                let number = fetches.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                if is_up { Ok(number) } else { Err("down") }
            };
            let now = self.begun.plus_s(after_s);
            self.kept.get(now, (1, "here"), |thing| **thing != but, fetch).await.unwrap().map(|thing| *thing)
        }

        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::SeqCst)
        }
    }

    /// what is fresh is not fetched again, and what is wanted anew not more often than at the pace.
    #[tokio::test]
    async fn it_is_fetched_when_it_is_old_or_not_what_is_wanted_and_not_too_often() {
        let scene = Scene::new();
        for (after_s, but, found, fetches) in [
            (0, 0, 1, 1),
            (59, 0, 1, 1),
            (59, 1, 2, 2),
            (68, 2, 2, 2),
            (69, 2, 3, 3),
            (128, 0, 3, 3),
            (129, 0, 4, 4),
        ] {
            assert_eq!(scene.ask(after_s, but, true).await, Ok(found), "after {after_s} s, not {but}");
            assert_eq!(scene.fetches(), fetches, "after {after_s} s, not {but}");
        }
    }

    /// where nobody answers, what is kept is believed to its end; then there is nothing, and the reason is told.
    #[tokio::test]
    async fn what_cannot_be_fetched_is_believed_to_its_end_and_no_longer() {
        let scene = Scene::new();
        assert_eq!(scene.ask(0, 0, false).await, Err(Some("down")));
        assert_eq!(scene.ask(9, 0, true).await, Err(Some("down")), "it was tried a moment ago");
        assert_eq!(scene.fetches(), 1);
        assert_eq!(scene.ask(10, 0, true).await, Ok(2));
        assert_eq!(scene.ask(109, 0, false).await, Ok(2));
        assert_eq!(scene.ask(110, 0, false).await, Err(Some("down")));
        assert_eq!(scene.fetches(), 3);
    }

    /// of many who ask at once one fetches, also if the fetch fails.
    #[tokio::test]
    async fn of_many_at_once_one_fetches() {
        for is_up in [true, false] {
            let scene = Scene::new();
            let all = futures_util::future::join_all((0..20).map(|_| scene.ask(0, 0, is_up))).await;
            assert!(all.iter().all(|found| found.is_ok() == is_up), "{all:?}");
            assert_eq!(scene.fetches(), 1);
        }
    }

    /// a fetch that nobody waits for any more counts, and what it finds is kept.
    #[tokio::test]
    async fn a_fetch_goes_on_without_whoever_asked() {
        let scene = Scene::new();
        {
            let mut asked = std::pin::pin!(scene.ask(0, 0, true));
            let polled = std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        assert_eq!(scene.ask(0, 0, true).await, Ok(1));
        assert_eq!(scene.fetches(), 1);
    }

    /// Another address is another thing.
    #[tokio::test]
    async fn another_address_is_fetched_at_once() {
        let scene = Scene::new();
        scene.ask(0, 0, true).await.unwrap();
        let found = scene.kept.get(scene.begun, (1, "there"), |_| true, async { Ok(99) }).await.unwrap();
        assert_eq!(*found.unwrap(), 99);
    }
}
