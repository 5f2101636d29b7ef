//! A cable to PostgreSQL that can be cut: all its connections break, new ones are let through.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

pub(crate) struct Proxy {
    port: u16,
    cuts: watch::Sender<u64>,
    packets: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, cut) = watch::channel(0);
        let packets = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&packets);
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let (mut cut, counted) = (cut.clone(), Arc::clone(&counted));
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    // Whichever ends first takes both ways with it.
                    tokio::select! {
                        _ = cut.changed() => {}
                        () = pass(near_in, far_out, &counted) => {}
                        () = pass(far_in, near_out, &counted) => {}
                    }
                });
            }
        });
        Self { port, cuts, packets, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Packets that went through so far.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, packets: &AtomicU64) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        packets.fetch_add(1, Ordering::Relaxed);
    }
}
