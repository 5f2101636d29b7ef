//! A cable to a server that can be cut: all connections at once, or one of them at a statement.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU16, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Where the connection that says something is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Before the server hears it.
    Before(&'static str),
    /// After the server heard it, and before anybody hears the answer.
    After(&'static str),
}

#[derive(Debug, Default)]
struct Cable {
    packets: AtomicU64,
    planned: Mutex<Option<Cut>>,
}

/// A port of this machine that leads to another one.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    to: Arc<AtomicU16>,
    cuts: watch::Sender<u64>,
    cable: Arc<Cable>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to port `to` of 127.0.0.1, on a free port. Fails if there is none.
    pub async fn start(to: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (cuts, cut) = watch::channel(0);
        let cable = Arc::<Cable>::default();
        let to = Arc::new(AtomicU16::new(to));
        let (shared, target) = (Arc::clone(&cable), Arc::clone(&to));
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let target = target.load(Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let (mut cut, cable) = (cut.clone(), Arc::clone(&shared));
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    // Whichever ends first takes both ways with it.
                    tokio::select! {
                        _ = cut.changed() => {}
                        () = cable.ask(near_in, far_out) => {}
                        () = cable.answer(far_in, near_out) => {}
                    }
                });
            }
        });
        Ok(Self { port, to, cuts, cable, accepting })
    }

    /// The port on 127.0.0.1 where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
    }

    /// Answers that went through so far.
    pub fn packets(&self) -> u64 {
        self.cable.packets.load(Ordering::Relaxed)
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Cuts the next connection that says this.
    pub fn cut_once(&self, at: Cut) {
        *self.cable.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Whether what [`Self::cut_once`] planned has happened.
    pub fn was_cut(&self) -> bool {
        self.cable.planned.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Cable {
    fn planned(&self, said: &[u8]) -> Option<Cut> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Cut::Before(text) | Cut::After(text)) = *planned else { return None };
        let says = said.windows(text.len()).any(|window| window == text.as_bytes());
        if says { planned.take() } else { None }
    }

    async fn ask(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let said = buffer.get(..count).unwrap_or_default();
            let cut = self.planned(said);
            if matches!(cut, Some(Cut::Before(_))) || to.write_all(said).await.is_err() || cut.is_some() {
                return;
            }
        }
    }

    async fn answer(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if to.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
                return;
            }
            self.packets.fetch_add(1, Ordering::Relaxed);
        }
    }
}
