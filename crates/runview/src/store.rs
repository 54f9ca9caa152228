//! The file: opened, given up when it cannot be used, made anew.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, WriteTransaction};

use prunella_telemetry::emit;

use crate::config::RunViewConfig;
use crate::error::RunViewError;
use crate::events::ViewOpened;
use crate::tables::{BY_CREATED, EVENT_AGES, EVENTS, META, META_SCHEMA, POSITIONS, RUNS, SCHEMA, STEPS};

/// One file with one database. All calls block.
pub(crate) struct Store {
    path: PathBuf,
    cache_bytes: usize,
    /// `None` while it is being opened again.
    database: RwLock<Option<Arc<Database>>>,
}

impl Store {
    /// Opens the view, or makes a new one when there is none that can be used.
    pub(crate) fn open(config: &RunViewConfig) -> Result<Self, RunViewError> {
        fs::create_dir_all(&config.directory).map_err(|error| unusable(&config.directory, &error))?;
        let store = Self {
            path: config.directory.join("runs.redb"),
            cache_bytes: config.cache_bytes,
            database: RwLock::new(None),
        };
        store.reopen()?;
        Ok(store)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go of the file; readers get [`RunViewError::Closed`] until it is opened again.
    pub(crate) fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        // A database that panicked once may panic again when it is dropped.
        drop(catch_unwind(AssertUnwindSafe(|| drop(database))));
    }

    /// Opens the file again after [`Store::close`].
    pub(crate) fn reopen(&self) -> Result<(), RunViewError> {
        if !self.path.exists() {
            self.put(self.create()?);
            emit(ViewOpened { path: &self.path, rebuilt: None });
            return Ok(());
        }
        let reason = match self.open_existing() {
            Ok(database) => {
                self.put(database);
                emit(ViewOpened { path: &self.path, rebuilt: None });
                return Ok(());
            }
            Err(Unusable::InUse) => return Err(RunViewError::InUse { path: self.path.clone() }),
            Err(Unusable::Because(reason)) => reason,
        };
        self.rebuild(&reason)
    }

    /// Throws everything away and starts with an empty view.
    pub(crate) fn rebuild(&self, reason: &str) -> Result<(), RunViewError> {
        self.close();
        fs::remove_file(&self.path).or_else(ignore_missing).map_err(|error| unusable(&self.path, &error))?;
        self.put(self.create()?);
        emit(ViewOpened { path: &self.path, rebuilt: Some(reason) });
        Ok(())
    }

    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, RunViewError> {
        let database = self.get()?;
        self.guarded(|| work(&database.begin_read()?))
    }

    /// `work` ends with the commit, which it asks for by giving the transaction back.
    pub(crate) fn write(
        &self,
        work: impl FnOnce(WriteTransaction) -> Result<WriteTransaction, redb::Error>,
    ) -> Result<(), RunViewError> {
        let database = self.get()?;
        self.guarded(|| Ok(work(database.begin_write()?)?.commit()?))
    }

    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, RunViewError> {
        let storage = |reason: String, damaged| RunViewError::Storage { path: self.path.clone(), reason, damaged };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(storage(error.to_string(), !is_passing(&error))),
            // Damaged pages can be met by assertions of the database as well as by errors.
            Err(_) => Err(storage("the database panicked".to_owned(), true)),
        }
    }

    fn get(&self) -> Result<Arc<Database>, RunViewError> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(RunViewError::Closed)
    }

    fn put(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(database));
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }

    fn open_existing(&self) -> Result<Database, Unusable> {
        let opened = catch_unwind(AssertUnwindSafe(|| self.builder().open(&self.path)));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(Unusable::InUse),
            Ok(Err(error)) => return Err(Unusable::Because(error.to_string())),
            Err(_) => return Err(Unusable::Because("the database panicked when it was opened".to_owned())),
        };
        match catch_unwind(AssertUnwindSafe(|| check_schema(&database))) {
            Ok(Ok(None)) => Ok(database),
            Ok(Ok(Some(found))) => {
                Err(Unusable::Because(format!("it has the tables of version {found:?}, this release has {SCHEMA:?}")))
            }
            Ok(Err(error)) => Err(Unusable::Because(error.to_string())),
            Err(_) => Err(Unusable::Because("the database panicked when it was read".to_owned())),
        }
    }

    fn create(&self) -> Result<Database, RunViewError> {
        let create = || -> Result<Database, redb::Error> {
            let database = self.builder().create(&self.path)?;
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert(META_SCHEMA, SCHEMA)?;
            transaction.open_table(POSITIONS)?;
            transaction.open_table(RUNS)?;
            transaction.open_table(BY_CREATED)?;
            transaction.open_table(STEPS)?;
            transaction.open_table(EVENTS)?;
            transaction.open_table(EVENT_AGES)?;
            transaction.commit()?;
            Ok(database)
        };
        create().map_err(|error| unusable(&self.path, &error))
    }
}

enum Unusable {
    InUse,
    Because(String),
}

/// The version of the tables when it is not ours.
fn check_schema(database: &Database) -> Result<Option<String>, redb::Error> {
    let transaction = database.begin_read()?;
    let found = transaction.open_table(META)?.get(META_SCHEMA)?.map(|found| found.value().to_owned());
    if found.as_deref() != Some(SCHEMA) {
        return Ok(Some(found.unwrap_or_default()));
    }
    transaction.open_table(POSITIONS)?;
    transaction.open_table(RUNS)?;
    transaction.open_table(BY_CREATED)?;
    transaction.open_table(STEPS)?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(EVENT_AGES)?;
    Ok(None)
}

/// Errors of the disk: the file may be as good as it was.
fn is_passing(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed)
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> RunViewError {
    RunViewError::Directory { path: path.to_owned(), reason: error.to_string() }
}
