use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::jlens::functions;
use crate::{Input, exact};

/// The variables of an evaluation, read as `$name`: built once per batch, shared by the evaluations of all its items.
/// A variable is read as far as an expression reaches into it, so large ones cost little.
#[derive(Debug, Clone)]
pub struct Bindings {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    plain: jlens_core::Bindings,
    /// The same variables with marked integers, when one of them holds any.
    marked: Option<jlens_core::Bindings>,
    /// Whether a variable holds text that could be taken for a mark.
    noncharacters: bool,
    /// Whether a variable holds a string that is the digits of an integer beyond ±(2^53 − 1).
    long_digits: bool,
}

impl Bindings {
    pub fn new() -> Self {
        static NONE: OnceLock<Bindings> = OnceLock::new();
        NONE.get_or_init(|| {
            let plain = functions::guarded().clone();
            let shared = Shared { plain, marked: None, noncharacters: false, long_digits: false };
            Self { shared: Arc::new(shared) }
        })
        .clone()
    }

    /// Adds or replaces the variable `$name`; `name` is given without the `$`.
    pub fn with(mut self, name: &str, value: impl Into<Input<'static>>) -> Self {
        let input: Input<'static> = value.into();
        let shared = Arc::make_mut(&mut self.shared);
        shared.noncharacters |= exact::value_holds_noncharacters(input.value());
        shared.long_digits |= exact::value_holds_long_digits(input.value());
        if input.marked().is_some() && shared.marked.is_none() {
            shared.marked = Some(shared.plain.clone());
        }
        if let Some(marked) = shared.marked.take() {
            let value = input.marked().unwrap_or_else(|| input.value()).clone();
            shared.marked = Some(marked.var(name, value));
        }
        shared.plain = std::mem::take(&mut shared.plain).var(name, input.into_value());
        self
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.shared.plain.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.shared.plain.iter()
    }

    pub(crate) fn plain(&self) -> &jlens_core::Bindings {
        &self.shared.plain
    }

    /// The variables with marked integers; `None` when none of them holds an integer that needs a mark.
    pub(crate) fn marked(&self) -> Option<&jlens_core::Bindings> {
        self.shared.marked.as_ref()
    }

    pub(crate) fn long_digits(&self) -> bool {
        self.shared.long_digits
    }

    pub(crate) fn noncharacters(&self) -> bool {
        self.shared.noncharacters
    }
}

impl Default for Bindings {
    fn default() -> Self {
        Self::new()
    }
}
