//! What is wrong with a workflow, told like a compiler tells it.

use std::fmt;

use prunella_model::Code;
use serde::{Serialize, Serializer};

/// A position in a text; both count from 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One mistake and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(serialize_with = "code_as_id")]
    pub code: Code,
    /// The file as the caller named it, or the mapping or schema file beside it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// JSON pointer of the value inside the file; empty for the whole file and in mapping files.
    pub pointer: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// A way out, when there is one to name.
    pub help: Option<String>,
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
}

/// The source line under a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The part of the line that is shown.
    shown: String,
    /// Characters of `shown` before the caret.
    before: usize,
    /// Carets.
    width: usize,
}

/// Characters of one source line shown at most; a file without line breaks would fill the screen.
const SHOWN: usize = 110;

impl Excerpt {
    pub(crate) fn new(text: &str, place: Place, width: usize) -> Option<Self> {
        let line: Vec<char> = text.lines().nth(place.line - 1)?.chars().collect();
        let column = (place.column - 1).min(line.len());
        let first = if line.len() > SHOWN { column.saturating_sub(SHOWN / 3) } else { 0 };
        let last = line.len().min(first + SHOWN);
        let shown = line[first..last]
            .iter()
            .map(|c| if c.is_control() && *c != '\t' { char::REPLACEMENT_CHARACTER } else { *c })
            .collect();
        let width = width.clamp(1, (last - column).max(1));
        Some(Self { shown, before: column - first, width })
    }
}

fn code_as_id<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.id())
}

impl Problem {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.file, self.line, self.column, self.code, self.message)?;
        let margin = self.line.to_string().len();
        if let Some(excerpt) = &self.excerpt {
            // Tabs stay tabs, so that the caret stands right whatever their width.
            let indent: String =
                excerpt.shown.chars().take(excerpt.before).map(|c| if c == '\t' { c } else { ' ' }).collect();
            write!(f, "\n{:margin$} |", "")?;
            write!(f, "\n{} | {}", self.line, excerpt.shown)?;
            write!(f, "\n{:margin$} | {indent}{}", "", "^".repeat(excerpt.width))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// Everything wrong with the files that were read: at least one problem, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` when nothing was found.
    pub(crate) fn check(mut found: Vec<Problem>) -> Result<(), Self> {
        if found.is_empty() {
            return Ok(());
        }
        let order = |p: &Problem| (p.file.clone(), p.line, p.column, p.code, p.message.clone());
        found.sort_by_cached_key(order);
        found.dedup_by_key(|problem| order(problem));
        Err(Self(found))
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, line: usize, column: usize, width: usize) -> Problem {
        Problem {
            code: Code::WorkflowShape,
            file: "orders.yaml".into(),
            line,
            column,
            pointer: "/stepz".into(),
            message: "unknown field `stepz`".into(),
            help: Some("did you mean `steps`?".into()),
            excerpt: Excerpt::new(text, Place { line, column }, width),
        }
    }

    #[test]
    fn a_problem_shows_its_line_and_points_at_the_word() {
        assert_eq!(
            problem("workflow: a\nstepz: []\n", 2, 1, 5).to_string(),
            "orders.yaml:2:1: PRN-0102: unknown field `stepz`\n\
             \x20 |\n\
             2 | stepz: []\n\
             \x20 | ^^^^^\n\
             \x20 = help: did you mean `steps`?"
        );
    }

    #[test]
    fn a_file_of_one_huge_line_shows_only_the_part_that_matters() {
        let text = format!("{{\"a\": \"{}\", \"stepz\": []}}", "x".repeat(5000));
        let shown = problem(&text, 1, 5012, 7).to_string();
        assert!(shown.contains("\"stepz\""), "{shown}");
        assert!(shown.len() < 500, "{shown}");
    }

    #[test]
    fn machines_read_the_code_as_its_id() {
        let json = serde_json::to_value(problem("", 1, 1, 1)).expect("serializable");
        assert_eq!(json["code"], "PRN-0102");
        assert_eq!(json["line"], 1);
        assert!(json.get("excerpt").is_none());
    }
}
