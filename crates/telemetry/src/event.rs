/// Something worth a log line, a metric, or both. Each crate keeps its events in one file, so that
/// what can be observed is read in one place and the call site is one word.
pub trait Event {
    fn emit(self);
}

pub fn emit(event: impl Event) {
    event.emit();
}
