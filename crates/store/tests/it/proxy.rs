//! A cable to PostgreSQL that can be cut: all connections at once, or one of them at a statement.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
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
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Before the database hears it.
    Before(&'static str),
    /// After the database heard it, and before anybody hears the answer.
    After(&'static str),
}

#[derive(Default)]
struct Cable {
    packets: AtomicU64,
    planned: Mutex<Option<Cut>>,
}

pub(crate) struct Proxy {
    port: u16,
    cuts: watch::Sender<u64>,
    cable: Arc<Cable>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, cut) = watch::channel(0);
        let cable = Arc::<Cable>::default();
        let shared = Arc::clone(&cable);
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
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
        Self { port, cuts, cable, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers that went through so far.
    pub(crate) fn packets(&self) -> u64 {
        self.cable.packets.load(Ordering::Relaxed)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Cuts the next connection that says this.
    pub(crate) fn cut_once(&self, at: Cut) {
        *self.cable.planned.lock().unwrap() = Some(at);
    }

    /// Whether what [`Self::cut_once`] planned has happened.
    pub(crate) fn was_cut(&self) -> bool {
        self.cable.planned.lock().unwrap().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Cable {
    fn planned(&self, said: &[u8]) -> Option<Cut> {
        let mut planned = self.planned.lock().unwrap();
        let Some(Cut::Before(text) | Cut::After(text)) = *planned else { return None };
        let says = said.windows(text.len()).any(|window| window == text.as_bytes());
        if says { planned.take() } else { None }
    }

    async fn ask(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let said = &buffer[..count];
            let cut = self.planned(said);
            if matches!(cut, Some(Cut::Before(_))) || to.write_all(said).await.is_err() || cut.is_some() {
                return;
            }
        }
    }

    async fn answer(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            self.packets.fetch_add(1, Ordering::Relaxed);
        }
    }
}
