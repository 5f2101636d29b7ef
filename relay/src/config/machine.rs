//! What a start would stumble over on this machine: the queue's file, and the addresses. No message is touched and nothing is
//! sent. For a moment a file is made beside the queue, its lock is held, and the addresses are listened on.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::File;
use crate::listen::ADVICE;
use crate::queue::{examine, is_served, lock_file};

pub(super) fn wrong(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut is_running = false;
    if let Some(path) = &file.queue.file {
        if let Err(sentence) = queue_file(path) {
            wrong.push(format!("queue.file: {}: {sentence}", path.display()));
        }
        is_running = is_served(path);
    }
    // Of a PostgreSQL nobody knows here whether a relay of this machine uses it.
    let may_run = is_running || file.queue.file.is_none();
    for (place, address) in
        [("listen.address", file.listen.address), ("internal.address", file.internal.address)]
    {
        if let Err(sentence) = can_listen(address, may_run) {
            wrong.push(format!("{place}: {sentence}"));
        }
    }
    wrong
}

/// Whether the queue can be made or opened there.
fn queue_file(path: &Path) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err("its folder is not there: make it, or name another file".to_owned());
    }
    if path.is_dir() {
        return Err("it is a folder: name a file in it".to_owned());
    }
    // SQLite writes other files beside it.
    let beside = path.with_added_extension("check");
    let made = OpenOptions::new().write(true).create_new(true).open(&beside);
    let removed = made.and_then(|_| std::fs::remove_file(&beside));
    if let Err(error) = removed.or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }) {
        return Err(format!(
            "nothing can be written beside it: {error}. Give the folder to the user that runs the relay"
        ));
    }
    let (advice, lock) = ("Give the file to the user that runs the relay", lock_file(path));
    let writable = |file: &Path| match OpenOptions::new().read(true).write(true).open(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    writable(&lock).map_err(|error| format!("its lock {}: {error}. {advice}", lock.display()))?;
    writable(path).map_err(|error| format!("{error}. {advice}"))?;
    if !path.exists() {
        return Ok(());
    }
    examine(path).map_err(|fault| fault.to_string())
}

/// Whether the address is one of this machine and free; what may be the relay itself counts as free.
fn can_listen(address: SocketAddr, may_run: bool) -> Result<(), String> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse && may_run => Ok(()),
        Err(error) => Err(format!("cannot listen on {address}: {error}. {ADVICE}")),
    }
}
