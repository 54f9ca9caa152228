//! Where work is done that would hold up other tasks: few threads, and always the same ones.
//!
//! The runtime has threads for such work as well, but takes new ones whenever the others are busy, up to hundreds, in
//! turn; and memory that a thread has used stays with it.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

/// Shared by its clones. What it has been given is done in its order, even if nobody waits for it any more.
#[derive(Debug, Clone)]
pub struct Workbench(Arc<Threads>);

#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may be a task that drops it, and a task must not wait for threads.
            runtime.shutdown_background();
        }
    }
}

impl Workbench {
    /// At most `threads` pieces of work at a time, by threads that are named after it.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub fn new(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(threads).thread_name(name).build()?;
        Ok(Self(Arc::new(Threads(Some(runtime)))))
    }

    /// For work that takes a processor: more threads than those, so that a piece that takes seconds leaves others a turn.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub fn for_computing() -> io::Result<Self> {
        Self::new("compute", 2 * available_parallelism().map_or(1, usize::from))
    }

    /// Does `work`, when its turn has come.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.try_run(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Does `work`, when its turn has come.
    ///
    /// # Errors
    /// The panic of `work`.
    pub async fn try_run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let Some(runtime) = &self.0.0 else { unreachable!("it is there until the last clone is gone") };
        runtime.spawn_blocking(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::Workbench;

    #[tokio::test]
    async fn work_is_done_by_no_more_threads_than_there_are_and_the_others_go_on() {
        let workbench = Workbench::new("few", 2).expect("there is room");
        let mut all = JoinSet::new();
        for _ in 0..40 {
            let workbench = workbench.clone();
            let work = || {
                std::thread::sleep(Duration::from_millis(5));
                std::thread::current().id()
            };
            all.spawn(async move { workbench.run(work).await });
        }
        let threads: HashSet<_> = all.join_all().await.into_iter().collect();
        assert!((1..=2).contains(&threads.len()), "{threads:?}");
        assert!(!threads.contains(&std::thread::current().id()));
    }

    #[tokio::test]
    async fn a_panic_is_that_of_whoever_asked() {
        let workbench = Workbench::new("few", 1).expect("there is room");
        let asked = workbench.clone();
        let task = tokio::spawn(async move { asked.run(|| panic!("of the work")).await });
        assert!(task.await.expect_err("it panics").is_panic());
        assert_eq!(workbench.run(|| 7).await, 7, "others go on");
    }
}
