//! Blobs as files of one folder: written to a temporary name, synced, given their name, the folder synced.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use super::Blobs;
use crate::fault::Fault;

/// Where files are until they are complete. No blob has a name like this.
const UNFINISHED: &str = ".unfinished";
/// Longest name.
const NAME_BYTES: usize = 200;
/// Most folders above a blob.
const NAME_PARTS: usize = 4;

/// Blobs in a folder, which several processes may share.
pub struct DiskBlobs {
    folder: Arc<Folder>,
}

struct Folder {
    path: PathBuf,
    writes: AtomicU64,
    // Held, shared, as long as the folder is in use: only whoever is alone with it may clear it.
    _lock: File,
}

impl DiskBlobs {
    /// Opens the folder, or makes it (mode 0700), and removes what a crash left unfinished, unless another process has
    /// the folder open. Blocks for as long as that takes.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let unfinished = folder.join(UNFINISHED);
        make_folder(&unfinished).map_err(|error| fault(&unfinished, &error))?;
        let lock_path = unfinished.join("lock");
        let lock = open_lock(&unfinished, &lock_path).map_err(|error| fault(&lock_path, &error))?;
        let folder = Folder { path: folder.to_owned(), writes: AtomicU64::new(0), _lock: lock };
        Ok(Self { folder: Arc::new(folder) })
    }

    // Files are read and written on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Folder, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let path = self.folder.path.join(checked(name)?);
        let folder = Arc::clone(&self.folder);
        let working =
            tokio::task::spawn_blocking(move || work(&folder, &path).map_err(|error| fault(&path, &error)));
        working.await.map_err(|error| Fault::Unavailable(error.to_string()))?
    }
}

#[async_trait]
impl Blobs for DiskBlobs {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        let written = self.on_disk(name, move |folder, path| folder.put(path, &bytes)).await?;
        if written { Ok(()) } else { Err(Fault::Contradiction(format!("the blob {name} has other bytes"))) }
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.on_disk(name, |_, path| match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn names(&self) -> Result<Vec<String>, Fault> {
        let folder = Arc::clone(&self.folder);
        let listing = tokio::task::spawn_blocking(move || {
            let mut names = Vec::new();
            list(&folder.path, "", &mut names).map_err(|error| fault(&folder.path, &error))?;
            names.sort_unstable();
            Ok(names)
        });
        listing.await.map_err(|error| Fault::Unavailable(error.to_string()))?
    }

    async fn ping(&self) -> Result<(), Fault> {
        let folder = Arc::clone(&self.folder);
        let trying = tokio::task::spawn_blocking(move || {
            let tried = folder.unfinished().and_then(|(path, mut file)| {
                file.write_all(b"ping")?;
                fs::remove_file(path)
            });
            tried.map_err(|error| fault(&folder.path, &error))
        });
        trying.await.map_err(|error| Fault::Unavailable(error.to_string()))?
    }
}

impl Folder {
    // Whether `path` has these bytes now; false if it had others before.
    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        if let Some(same) = has(path, bytes)? {
            return Ok(same);
        }
        let parent = path.parent().unwrap_or(&self.path);
        self.make_synced(parent)?;
        let (unfinished, mut file) = self.unfinished()?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        // A hard link refuses a name that exists, which a rename would silently replace.
        let named = fs::hard_link(&unfinished, path);
        fs::remove_file(&unfinished)?;
        match named {
            Ok(()) => sync_folder(parent)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(has(path, bytes)?.unwrap_or(false));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    // A new file under a name that no other process that shares the folder uses.
    fn unfinished(&self) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.writes.fetch_add(1, Ordering::Relaxed);
            let path = self.path.join(UNFINISHED).join(format!("{}-{number}", std::process::id()));
            match new_file(&path, false) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                file => return Ok((path, file?)),
            }
        }
    }

    // Makes the folders down to `path`; each is durable before something is put into it.
    fn make_synced(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() || path == self.path {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.path);
        self.make_synced(parent)?;
        make_folder(path)?;
        sync_folder(parent)
    }
}

// Whether the file at `path` has these bytes; `None` if there is no file. One that was there is made durable again,
// as the process that wrote it may have died before it did.
fn has(path: &Path, bytes: &[u8]) -> io::Result<Option<bool>> {
    let found = match fs::read(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if found != bytes {
        return Ok(Some(false));
    }
    if let Some(parent) = path.parent() {
        sync_folder(parent)?;
    }
    Ok(Some(true))
}

// Names are relative paths of letters, digits, `_`, `-` and inner dots; nothing else reaches the file system.
fn checked(name: &str) -> Result<&str, Fault> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if name.len() <= NAME_BYTES && name.split('/').count() <= NAME_PARTS && name.split('/').all(part) {
        return Ok(name);
    }
    Err(Fault::Contradiction("a blob's name is made of letters, digits, `_`, `-`, `.` and `/`".to_owned()))
}

fn fault(path: &Path, error: &io::Error) -> Fault {
    Fault::File(format!("{}: {error}", path.display()))
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn new_file(path: &Path, may_exist: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(may_exist).create_new(!may_exist);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

// Elsewhere a folder cannot be opened, and the file system keeps its own order.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn open_lock(unfinished: &Path, lock_path: &Path) -> io::Result<File> {
    let lock = new_file(lock_path, true)?;
    if lock.try_lock().is_ok() {
        clear(unfinished, lock_path)?;
        lock.unlock()?;
    }
    lock.lock_shared()?;
    Ok(lock)
}

fn clear(unfinished: &Path, lock: &Path) -> io::Result<()> {
    for entry in fs::read_dir(unfinished)? {
        let path = entry?.path();
        if path != lock {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(part) = entry.file_name().into_string() else { continue };
        let name = if prefix.is_empty() { part } else { format!("{prefix}/{part}") };
        if checked(&name).is_err() {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
