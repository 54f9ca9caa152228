//! An archive of loaded classes (CDS) makes every start but the first one faster by a second or two.
//!
//! The first server that ends in an orderly way writes it. It only ever helps: with `-Xshare:auto` a JVM that does not like an
//! archive starts without it, and one that fails with it is started again without it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::java::Java;

pub(crate) enum ClassArchive {
    /// Use this one.
    Use(PathBuf),
    /// Nobody has made it yet: make it at the end. The lock keeps others from making it at the same time.
    Make {
        making: PathBuf,
        archive: PathBuf,
        _lock: File,
    },
    None,
}

impl ClassArchive {
    /// The one that an earlier server has made, for a tool with the same class path.
    pub(crate) fn if_made(cache_dir: &Path, name: &str, java: &Java, classpath: &OsStr) -> Self {
        let archive = place(cache_dir, name, java, classpath);
        if archive.is_file() { Self::Use(archive) } else { Self::None }
    }

    pub(crate) fn prepare(cache_dir: &Path, name: &str, java: &Java, classpath: &OsStr) -> Self {
        let archive = place(cache_dir, name, java, classpath);
        if archive.is_file() {
            return Self::Use(archive);
        }
        match lock(&archive) {
            Some(lock) => Self::Make { making: archive.with_extension("making"), archive, _lock: lock },
            None => Self::None,
        }
    }

    pub(crate) fn jvm_argument(&self) -> Option<String> {
        match self {
            Self::Use(archive) => Some(format!("-XX:SharedArchiveFile={}", archive.display())),
            Self::Make { making, .. } => Some(format!("-XX:ArchiveClassesAtExit={}", making.display())),
            Self::None => None,
        }
    }

    /// Whether an orderly end of the server is worth waiting for.
    pub(crate) fn is_to_be_made(&self) -> bool {
        matches!(self, Self::Make { .. })
    }

    /// After an orderly end of the server that was to make the archive.
    pub(crate) fn keep(self) {
        let Self::Make { making, archive, .. } = &self else { return };
        if let Err(error) = fs::rename(making, archive) {
            tracing::debug!(%error, archive = %archive.display(), "no archive of classes was made; starts stay slower");
        }
    }

    /// The server failed with it. `true` if there was one to blame.
    pub(crate) fn discard(&mut self) -> bool {
        let Self::Use(archive) = &*self else { return false };
        tracing::warn!(archive = %archive.display(), "removing an archive of classes that a server failed with");
        let removed = fs::remove_file(archive).is_ok();
        *self = Self::None;
        removed
    }
}

fn place(cache_dir: &Path, name: &str, java: &Java, classpath: &OsStr) -> PathBuf {
    cache_dir.join("classes").join(format!("{name}-{}.jsa", fingerprint(java, classpath)))
}

fn lock(archive: &Path) -> Option<File> {
    fs::create_dir_all(archive.parent()?).ok()?;
    let lock = File::create(archive.with_extension("lock")).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

fn fingerprint(java: &Java, classpath: &OsStr) -> String {
    let mut hasher = Sha256::new();
    for part in [java.program.as_os_str(), OsStr::new(&java.description), classpath] {
        hasher.update(part.as_encoded_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
