//! Files that Maven fetches once, checked against sums that are part of this crate.

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use prunella_model::ByteSize;
use sha2::{Digest, Sha256};

use crate::data_dir::{remove_dir_if_there, require_free_space};
use crate::environment::Environment;
use crate::error::LocalKafkaError;
use crate::maven;
use crate::progress::Progress;

/// A pinned set of files.
pub(crate) struct Bundle {
    /// The directory below the cache.
    pub(crate) directory: &'static str,
    /// For people.
    pub(crate) what: &'static str,
    pub(crate) download_size: &'static str,
    /// Of the files, with room for what Maven keeps itself.
    pub(crate) disk_size: ByteSize,
    pub(crate) pom: &'static str,
    /// With the full name of its plugin, so that Maven need not look up a prefix; the version is in the pom.
    pub(crate) goal: &'static str,
    /// Lines as `sha256sum` writes them: the sum, two spaces, the path.
    pub(crate) sums: &'static str,
}

impl Bundle {
    pub(crate) fn files(&self) -> impl Iterator<Item = &'static str> {
        self.sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, path)| path)
    }

    /// The directory that holds the checked files; fetches them if this is the first time.
    ///
    /// Any number of processes may do this at once: one fetches, the others wait for it.
    pub(crate) fn locate(
        &self,
        environment: &Environment,
        progress: &dyn Fn(Progress),
    ) -> Result<PathBuf, LocalKafkaError> {
        let directory = environment.cache_dir.join(self.directory);
        if directory.is_dir() {
            progress(Progress::Checking { what: self.what });
            self.check(&directory, &directory)?;
            return Ok(directory);
        }
        let Some(mvn) = environment.find_program("mvn") else {
            return Err(LocalKafkaError::MavenMissing { what: self.what, cache: directory });
        };
        let cache = &environment.cache_dir;
        fs::create_dir_all(cache).map_err(LocalKafkaError::io("create", cache))?;
        let _one_at_a_time = self.wait_for_turn(cache, progress)?;
        if directory.is_dir() {
            self.check(&directory, &directory)?;
            return Ok(directory);
        }
        require_free_space(cache, self.disk_size)?;
        let fetching = cache.join(format!("{}.fetching", self.directory));
        self.fetch(environment, &mvn, &fetching, progress)?;
        fs::rename(fetching.join("files"), &directory).map_err(LocalKafkaError::io("create", &directory))?;
        remove_dir_if_there(&fetching)?;
        Ok(directory)
    }

    fn wait_for_turn(&self, cache: &Path, progress: &dyn Fn(Progress)) -> Result<File, LocalKafkaError> {
        let lock_file = cache.join(format!("{}.lock", self.directory));
        let lock = File::create(&lock_file).map_err(LocalKafkaError::io("create", &lock_file))?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => progress(Progress::WaitingForFetch { what: self.what }),
            Err(TryLockError::Error(error)) => return Err(LocalKafkaError::io("lock", &lock_file)(error)),
        }
        lock.lock().map_err(LocalKafkaError::io("lock", &lock_file))?;
        Ok(lock)
    }

    fn fetch(
        &self,
        environment: &Environment,
        mvn: &Path,
        work: &Path,
        progress: &dyn Fn(Progress),
    ) -> Result<(), LocalKafkaError> {
        remove_dir_if_there(work)?;
        fs::create_dir(work).map_err(LocalKafkaError::io("create", work))?;
        let pom = work.join("pom.xml");
        fs::write(&pom, self.pom).map_err(LocalKafkaError::io("write", &pom))?;
        let files = work.join("files");

        let show = |files| progress(Progress::Fetching { what: self.what, size: self.download_size, files });
        show(0);
        let arrived = Cell::new(0);
        let mut command = environment.command(mvn);
        command
            .current_dir(work)
            .args(["-B", "-f"])
            .arg(&pom)
            .arg(self.goal)
            .arg(format!("-Dprunella.output={}", files.display()));
        maven::run(command, mvn, self.what, &|| {
            arrived.set(arrived.get() + 1);
            show(arrived.get());
        })?;
        progress(Progress::Checking { what: self.what });
        self.check(&files, work)
    }

    /// `remove` is what to tell the user to remove when a file is wrong.
    fn check(&self, directory: &Path, remove: &Path) -> Result<(), LocalKafkaError> {
        for (expected, path) in self.sums.lines().filter_map(|line| line.split_once("  ")) {
            let file = directory.join(path);
            let found = match sha256(&file) {
                Ok(sum) if sum == expected => continue,
                Ok(sum) => format!("SHA-256 {sum}"),
                Err(error) => format!("no readable content ({error})"),
            };
            return Err(LocalKafkaError::Checksum {
                file,
                expected: expected.to_owned(),
                found,
                remove: remove.to_owned(),
            });
        }
        Ok(())
    }
}

fn sha256(file: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
