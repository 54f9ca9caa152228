use serde::Serialize;

/// Places that an account names at most.
const EXAMPLES: usize = 20;

/// One sum: everything that entered is in exactly one of the parts, or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// What is counted.
    pub of: String,
    pub entered: u64,
    pub parts: Vec<Part>,
    pub missing: u64,
    /// Some of what is missing.
    pub examples: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub name: &'static str,
    pub count: u64,
    pub explanation: &'static str,
}

impl Account {
    pub(super) fn new(of: impl Into<String>) -> Self {
        Self { of: of.into(), entered: 0, parts: Vec::new(), missing: 0, examples: Vec::new(), notes: Vec::new() }
    }

    /// Counts `count` more that entered, as this part.
    pub(super) fn add(&mut self, name: &'static str, explanation: &'static str, count: u64) {
        self.entered += count;
        match self.parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.count += count,
            None => self.parts.push(Part { name, count, explanation }),
        }
    }

    /// Counts more that entered, and are nowhere.
    pub(super) fn miss(&mut self, count: u64, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        self.entered += count;
        self.missing += count;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    pub fn adds_up(&self) -> bool {
        self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_adds_up_until_something_is_missing() {
        let mut account = Account::new("records");
        account.add("out", "on the output topic", 3);
        account.add("out", "on the output topic", 2);
        account.add("dead", "dead letters", 1);
        assert!(account.adds_up() && account.entered == 6 && account.parts.len() == 2, "{account:?}");
        account.miss(0, || "nothing".to_owned());
        assert!(account.adds_up());
        for number in 0..30 {
            account.miss(1, || format!("t/0/{number}"));
        }
        assert!(!account.adds_up());
        assert_eq!((account.entered, account.missing, account.examples.len()), (36, 30, EXAMPLES));
    }
}
