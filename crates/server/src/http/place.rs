//! A request's place among those in work. Who still sends the form of a signer's page has none: anybody can begin to,
//! and to send slowly costs nothing. Such forms have a deadline, a bound for each address, and one in bytes for all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::{Body, Bytes};
use countersign_core::{
    limits,
    refusal::{Code, Refusal},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{check_size, collect, overloaded};

/// What all requests share.
pub struct Places {
    in_work: Arc<Semaphore>,
    /// A permit for each byte.
    forms: Arc<Semaphore>,
    senders: Mutex<HashMap<IpAddr, Share>>,
    patience: Duration,
}

/// What the forms on their way from one address take up.
#[derive(Default)]
struct Share {
    form_count: usize,
    size_bytes: usize,
}

impl Places {
    /// Places for so many requests in work; a form must arrive within `patience`.
    pub fn new(in_work: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            in_work: Arc::new(Semaphore::new(in_work)),
            forms: Arc::new(Semaphore::new(limits::FORMS_BYTES)),
            senders: Mutex::default(),
            patience,
        })
    }

    fn room(&self, size_bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let size_bytes = u32::try_from(size_bytes).map_err(|_| overloaded())?;
        Arc::clone(&self.forms).try_acquire_many_owned(size_bytes).map_err(|_| overloaded())
    }

    fn sender(&self, address: IpAddr) -> Result<Sender<'_>, Refusal> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let share = senders.entry(address).or_default();
        if share.form_count >= limits::FORMS_PER_ADDRESS {
            return Err(too_much());
        }
        share.form_count += 1;
        Ok(Sender { senders: &self.senders, address, size_bytes: 0 })
    }
}

fn too_much() -> Refusal {
    let sentence = "too many forms are on their way from this address; try again in a moment";
    Refusal::new(Code::Overloaded, sentence)
}

/// A form on its way from an address.
struct Sender<'a> {
    senders: &'a Mutex<HashMap<IpAddr, Share>>,
    address: IpAddr,
    size_bytes: usize,
}

impl Sender<'_> {
    /// So many more bytes of its address's share.
    fn grow(&mut self, size_bytes: usize) -> Result<(), Refusal> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let share = senders.entry(self.address).or_default();
        if share.size_bytes.saturating_add(size_bytes) > limits::FORMS_BYTES_PER_ADDRESS {
            return Err(too_much());
        }
        share.size_bytes += size_bytes;
        self.size_bytes += size_bytes;
        Ok(())
    }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = senders.get_mut(&self.address) {
            share.form_count = share.form_count.saturating_sub(1);
            share.size_bytes = share.size_bytes.saturating_sub(self.size_bytes);
            if share.form_count == 0 {
                senders.remove(&self.address);
            }
        }
    }
}

/// One request's place. Clones are the same place, which is free when all of them are gone.
#[derive(Clone)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    /// A place for a request from this address, if there is one.
    pub fn take(places: &Arc<Places>, address: IpAddr) -> Result<Self, Refusal> {
        let place = Self { places: Arc::clone(places), address: household(address), held: Arc::default() };
        place.take_again()?;
        Ok(place)
    }

    fn take_again(&self) -> Result<(), Refusal> {
        let permit = Arc::clone(&self.places.in_work).try_acquire_owned().map_err(|_| overloaded())?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        Ok(())
    }

    fn leave(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads a form of at most `limit_bytes`. The place is free for others until all of it has arrived.
    pub async fn form(&self, body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
        check_size(&body, limit_bytes)?;
        self.leave();
        let bytes = {
            let mut sender = self.places.sender(self.address)?;
            let mut room = self.places.room(limits::HEADER_BYTES)?;
            let grow = |size_bytes| {
                sender.grow(size_bytes)?;
                self.places.room(size_bytes).map(|more| room.merge(more))
            };
            let patience = self.places.patience;
            let reading = collect(body, limit_bytes, Vec::new(), grow);
            tokio::time::timeout(patience, reading).await.map_err(|_| late(patience))??
        };
        self.take_again()?;
        Ok(Bytes::from(bytes))
    }
}

fn late(patience: Duration) -> Refusal {
    let sentence = format!("the form did not arrive within {} ms; try again", patience.as_millis());
    Refusal::new(Code::RequestTimeout, sentence)
}

/// IPv6 gives everybody 2^64 addresses (RFC 6177 §2): they count as one.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use hyper::body::Frame;

    use super::*;

    /// A body of one part that never ends.
    struct Unfinished(Option<Bytes>);

    impl hyper::body::Body for Unfinished {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.take().map_or(Poll::Pending, |part| Poll::Ready(Some(Ok(Frame::data(part)))))
        }
    }

    fn unfinished(size_bytes: usize) -> Body {
        Body::new(Unfinished(Some(vec![b' '; size_bytes].into())))
    }

    fn begun(place: Place, size_bytes: usize) -> Option<impl Future<Output = Result<Bytes, Refusal>>> {
        let mut reading = Box::pin(async move { place.form(unfinished(size_bytes), size_bytes).await });
        let polled = reading.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        polled.is_pending().then_some(reading)
    }

    /// However many addresses there are, and however long forms are held, their bytes are bounded.
    #[tokio::test]
    async fn forms_on_their_way_have_a_bound_in_bytes_together() {
        let places = Places::new(usize::MAX >> 3, Duration::from_secs(9));
        let of =
            |number: u32| Place::take(&places, std::net::Ipv4Addr::from_bits(number).into()).ok().unwrap();
        let most = limits::FORMS_BYTES / (limits::HEADER_BYTES + limits::BODY_BYTES);
        let mut held = Vec::new();
        let mut number = 0;
        while let Some(reading) = begun(of(number), limits::BODY_BYTES) {
            held.push(reading);
            number += 1;
        }
        assert!(held.len() <= most && held.len() > most / 2, "{} of {most}", held.len());
        held.pop();
        assert!(begun(of(number), limits::BODY_BYTES).is_some(), "what came free is given again");
        drop(held);
        assert_eq!(places.forms.available_permits(), limits::FORMS_BYTES);
        assert!(places.senders.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_household_has_its_share_and_no_more() {
        let places = Places::new(1, Duration::from_secs(9));
        let begin = |address: &str| {
            let place = Place::take(&places, address.parse().unwrap()).ok().unwrap();
            begun(place, 1)
        };
        let _held: Vec<_> = (0..limits::FORMS_PER_ADDRESS)
            .map(|number| begin(&format!("2001:db8::{number:x}")).unwrap())
            .collect();
        assert!(begin("2001:db8::ffff:1").is_none(), "the same household");
        assert!(begin("2001:db8:0:1::1").is_some(), "another");
        assert!(begin("192.0.2.1").is_some());
    }

    /// A few addresses with large forms do not take the bytes of all.
    #[tokio::test]
    async fn one_address_has_its_share_of_bytes_and_gets_it_back() {
        let places = Places::new(1, Duration::from_secs(9));
        let begin = |address: &str| {
            let place = Place::take(&places, address.parse().unwrap()).ok().unwrap();
            begun(place, limits::BODY_BYTES)
        };
        let mut held = Vec::new();
        while let Some(reading) = begin("192.0.2.1") {
            held.push(reading);
        }
        let most = limits::FORMS_BYTES_PER_ADDRESS / limits::BODY_BYTES;
        assert!(held.len() <= most && held.len() * 2 >= most, "{} of {most}", held.len());
        assert!(begin("192.0.2.2").is_some(), "another");
        held.clear();
        assert!(begin("192.0.2.1").is_some(), "it is given back");
    }
}
