//! The running relay: what is started, what is done beside it, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::clock;
use crate::config::{Checked, Database, Outlet};
use crate::fault::Fault;
use crate::forward::Forwarder;
use crate::internal::Internal;
use crate::limits::{AddressPace, Bodies, Crowd, Room, SenderPace};
use crate::listen::{self, Door, told_to_stop};
use crate::metrics::Metrics;
use crate::queue::{Postgres, Queue, SWEPT_AT_ONCE, Sqlite};
use crate::receive::{Entrance, Receiver};

const DAY: Duration = Duration::from_hours(24);
/// How often the queue's size is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After so many looks, what is over is forgotten.
const SWEEP_EVERY: u32 = 20;
/// Connections of the operator's programs.
const INTERNAL_CONNECTIONS: u32 = 64;

/// A relay that runs.
pub struct Relay {
    /// Where senders connect.
    pub address: SocketAddr,
    /// Where the operator's programs connect.
    pub internal_address: SocketAddr,
    stop: watch::Sender<bool>,
    drain: Duration,
    tasks: JoinSet<()>,
}

/// Opens the queue; `alone` to serve from it.
pub async fn open(database: &Database, alone: bool) -> Result<Arc<dyn Queue>, Fault> {
    Ok(match database {
        Database::Sqlite(file) => Arc::new(Sqlite::open(file, alone).await?),
        Database::Postgres(access) => Arc::new(Postgres::open(access).await?),
    })
}

/// Starts a relay.
pub async fn start(checked: Checked) -> Result<Relay, Fault> {
    let queue = open(&checked.database, true).await?;
    let is_pushed = |outlet: &Outlet| matches!(outlet, Outlet::Forward { .. });
    let pushed: Vec<Arc<str>> = checked
        .senders
        .iter()
        .filter(|sender| is_pushed(&sender.outlet))
        .map(|sender| Arc::clone(&sender.name))
        .collect();
    queue.release(&pushed).await?;
    let listen = checked.listen;
    let metrics = Arc::<Metrics>::default();
    let entrance = |sender: &Arc<crate::config::Sender>| {
        let entrance = Entrance {
            sender: Arc::clone(sender),
            pace: SenderPace::new(sender.messages_per_s),
            news: Arc::new(Notify::new()),
        };
        (Arc::clone(&sender.name), entrance)
    };
    let receiver = Arc::new(Receiver {
        entrances: checked.senders.iter().map(entrance).collect(),
        trusted_proxies: listen.trusted_proxies.clone(),
        pace: AddressPace::new(listen.requests_per_address_per_s),
        body_bytes: listen.body_bytes,
        bodies: Bodies::new(listen.bodies_bytes),
        room: Room::new(checked.queue.messages, checked.queue.bytes),
        remember: DAY.saturating_mul(checked.queue.remember_days),
        queue: Arc::clone(&queue),
        metrics: Arc::clone(&metrics),
    });
    receiver.room.seen(receiver.room.look(), Some(queue.depth().await?));
    let drain = Duration::from_secs(listen.drain_s.into());
    let door = Door {
        tls: checked.tls.map(TlsAcceptor::from),
        connections: listen.connections,
        crowd: Crowd::new(listen.connections_per_address, listen.trusted_proxies),
        request: Duration::from_secs(listen.request_s.into()),
        drain,
    };
    let (listener, address) = listen::bind(listen.address, "listen.address").await?;
    let (internal_listener, internal_address) =
        listen::bind(checked.internal.address, "internal.address").await?;
    let internal = Arc::new(Internal { receiver: Arc::clone(&receiver), crowd: Arc::clone(&door.crowd) });
    let internal_door = Door {
        tls: None,
        connections: INTERNAL_CONNECTIONS,
        crowd: Crowd::new(INTERNAL_CONNECTIONS, Vec::new()),
        ..door.clone()
    };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let try_time = Duration::from_hours(checked.queue.try_h.into());
    for entrance in receiver.entrances.values().filter(|entrance| is_pushed(&entrance.sender.outlet)) {
        let (sender, news) = (Arc::clone(&entrance.sender), Arc::clone(&entrance.news));
        let forwarder = Forwarder::new(sender, Arc::clone(&queue), Arc::clone(&metrics), news, try_time);
        tasks.spawn(Arc::new(forwarder).run(stopped.clone()));
    }
    tasks.spawn(tidy(Arc::clone(&receiver), stopped.clone()));
    tasks.spawn(listen::accept(listener, door, receiver, stopped.clone()));
    tasks.spawn(listen::accept(internal_listener, internal_door, internal, stopped));
    Ok(Relay { address, internal_address, stop, drain, tasks })
}

impl Relay {
    /// Takes no more, ends what is in work, and returns when it has or when its time is over.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // Connections have their own end within this time; forwarding may need as long.
        if tokio::time::timeout(self.drain.saturating_add(Duration::from_secs(1)), ended).await.is_err() {
            tracing::warn!("some messages were on their way; they are forwarded again at the next start");
        }
    }
}

async fn tidy(receiver: Arc<Receiver>, mut stopped: watch::Receiver<bool>) {
    let (mut turn, mut pause) = (0_u32, LOOK);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = told_to_stop(&mut stopped) => return,
        }
        turn = turn.wrapping_add(1);
        let begun = clock::instant();
        let look = receiver.room.look();
        let depth = receiver.queue.depth().await;
        if let Err(fault) = &depth {
            tracing::error!(%fault, "the queue cannot be looked at");
        }
        receiver.room.seen(look, depth.ok());
        // A long queue is looked at less often: what comes meanwhile is counted.
        pause = begun.elapsed().saturating_mul(20).max(LOOK);
        if turn.is_multiple_of(SWEEP_EVERY) {
            receiver.pace.forget();
            sweep(&*receiver.queue).await;
        }
    }
}

/// As much as came since the last time is over at this one: so it goes on until little is left, and messages pass in between.
async fn sweep(queue: &dyn Queue) {
    loop {
        match queue.sweep().await {
            Ok(swept) if swept >= u64::from(SWEPT_AT_ONCE) => {}
            Ok(_) => return,
            Err(fault) => return tracing::error!(%fault, "the queue cannot be swept"),
        }
    }
}
