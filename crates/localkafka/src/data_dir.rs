//! A directory that belongs to one running server at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use prunella_model::ByteSize;
use rustix::fs::statvfs;

use crate::error::LocalKafkaError;
use crate::process_identity::ProcessIdentity;
use crate::progress::Progress;

const STALE_PATIENCE: Duration = Duration::from_secs(10);
const CLAIM_ATTEMPTS: u32 = 20;
const CLAIM_PAUSE: Duration = Duration::from_millis(25);

/// Owned from `claim` to drop: the kernel releases the lock when the owning process ends, however it ends.
pub(crate) struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if need be. Fails with `DataDirInUse` while another live process owns it.
    pub(crate) fn claim(root: &Path) -> Result<Self, LocalKafkaError> {
        fs::create_dir_all(root).map_err(LocalKafkaError::io("create", root))?;
        let root = root.canonicalize().map_err(LocalKafkaError::io("find", root))?;
        let lock_file = root.join("owner");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_file)
            .map_err(LocalKafkaError::io("open", &lock_file))?;
        take_lock(&mut lock, &lock_file, &root)?;

        let owner = format!("process {}\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(owner.as_bytes()))
            .map_err(LocalKafkaError::io("write", &lock_file))?;
        Ok(Self { root, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.join("server.pid")
    }

    /// We own the directory, so a server that still runs on it was left behind by an owner that is gone.
    pub(crate) fn stop_stale_server(&self, progress: &dyn Fn(Progress)) -> Result<(), LocalKafkaError> {
        let pid_file = self.pid_file();
        if let Some(stale) = ProcessIdentity::running(&pid_file) {
            progress(Progress::StoppingStale { pid: stale.pid.as_raw_pid() });
            tracing::warn!(pid = stale.pid.as_raw_pid(), data_dir = %self.root.display(), "stopping a server that was left behind");
            stale.end(STALE_PATIENCE).map_err(LocalKafkaError::io("stop the server left behind on", &self.root))?;
        }
        remove_file_if_there(&pid_file)
    }

    /// An empty scratch directory for the server: what a killed one left in it goes.
    pub(crate) fn fresh_scratch(&self) -> Result<PathBuf, LocalKafkaError> {
        let scratch = self.join("tmp");
        remove_dir_if_there(&scratch)?;
        fs::create_dir(&scratch).map_err(LocalKafkaError::io("create", &scratch))?;
        Ok(scratch)
    }
}

pub(crate) fn require_free_space(path: &Path, wanted: ByteSize) -> Result<(), LocalKafkaError> {
    let disk = statvfs(path).map_err(|errno| LocalKafkaError::io("ask for the free space of", path)(errno.into()))?;
    let free = ByteSize::from_bytes(disk.f_bavail.saturating_mul(disk.f_frsize));
    if free >= wanted {
        return Ok(());
    }
    let free_mib = free.bytes() >> 20;
    Err(LocalKafkaError::DiskFull {
        path: path.to_owned(),
        detail: format!("{free_mib} MiB are free, {wanted} are wanted"),
    })
}

pub(crate) fn remove_file_if_there(file: &Path) -> Result<(), LocalKafkaError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LocalKafkaError::io("remove", file)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn remove_dir_if_there(directory: &Path) -> Result<(), LocalKafkaError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LocalKafkaError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

/// A lock just released can linger for a moment in a child between fork and exec, hence more than one attempt.
fn take_lock(lock: &mut File, lock_file: &Path, root: &Path) -> Result<(), LocalKafkaError> {
    for _ in 0..CLAIM_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(LocalKafkaError::io("lock", lock_file)(error)),
            Err(TryLockError::WouldBlock) => thread::sleep(CLAIM_PAUSE),
        }
    }
    let mut owner = String::new();
    lock.read_to_string(&mut owner).map_err(LocalKafkaError::io("read", lock_file))?;
    Err(LocalKafkaError::DataDirInUse { path: root.to_owned(), owner: owner.trim().to_owned() })
}
