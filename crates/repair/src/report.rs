//! A repair as text for the person who reads it.

use std::fmt::Write as _;

use crate::evidence::{Evidence, Repair, Verdict};

const WIDTH: usize = 110;

/// What changed, why it may be believed, and what would change the verdict.
pub fn report(repair: &Repair, old: Option<&str>) -> String {
    let mut text = String::new();
    let story = &repair.evidence;
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}: {}", repair.id, headline(repair.verdict));
    let _ = writeln!(text, "  {}", story.summary);
    if !story.gone.is_empty() || !story.new.is_empty() {
        let _ = writeln!(text, "\nThe source");
        list(&mut text, "gone", &story.gone);
        list(&mut text, "new", &story.new);
    }
    let changed: Vec<_> =
        story.fields.iter().filter(|field| field.old != field.new || !field.evidence.carries()).collect();
    if !changed.is_empty() {
        let _ = writeln!(text, "\nThe fields");
        for field in &changed {
            let mark = if field.evidence.carries() { "+" } else { "?" };
            let _ = writeln!(text, "  {mark} {}", field.field);
            if field.old == field.new {
                let _ = writeln!(text, "      {}", brief(&field.old));
            } else if field.old.is_empty() {
                let _ = writeln!(text, "      {}", brief(&field.new));
            } else {
                let _ = writeln!(text, "      {} -> {}", brief(&field.old), brief(&field.new));
            }
            let _ = writeln!(text, "      because {}", field.because);
        }
        let same = story.fields.len() - changed.len();
        if same > 0 {
            let confirmed =
                story.fields.iter().filter(|field| matches!(field.evidence, Evidence::Kept { confirmed: 1.. }));
            let _ =
                writeln!(text, "  {same} fields stay as they are, {} confirmed by known entities", confirmed.count());
        }
    }
    if let (Some(old), Some(new)) = (old, &repair.mapping)
        && old.trim() != new.trim()
    {
        let _ = writeln!(text, "\nThe mapping");
        text.push_str(&difference(old.trim(), new.trim()));
    }
    let trial = &story.trial;
    let _ = writeln!(text, "\nTried on");
    let _ = writeln!(text, "  {} records, {} give valid output", trial.records, trial.valid);
    if trial.held_back > 0 {
        let _ = writeln!(text, "  {} of them held back while it was made", trial.held_back);
    }
    if trial.known > 0 {
        let _ = writeln!(text, "  {} known entities, {} give what they gave before", trial.known, trial.reproduced);
    }
    if trial.remembered > 0 {
        let _ = writeln!(text, "  {} remembered samples, {} give what they gave", trial.remembered, trial.regressed);
    }
    if trial.outages > 0 {
        let _ = writeln!(text, "  {} answers were outages and were not learned from", trial.outages);
    }
    for jump in &story.jumps {
        let _ = writeln!(text, "  the guard: {}", jump.in_words());
    }
    let _ = writeln!(text, "  score {:.2}", story.score);
    section(&mut text, "Why no better verdict", &story.reasons, repair.verdict != Verdict::Unchanged);
    section(&mut text, "What would change it", &story.would_change, true);
    text
}

fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Activate => "activate",
        Verdict::Review => "review, a person has to decide",
        Verdict::Refuse => "refuse, there is no safe mapping",
        Verdict::Unchanged => "unchanged",
    }
}

fn list(text: &mut String, title: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let mut shown = names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 12 {
        let _ = write!(shown, " and {} more", names.len() - 12);
    }
    let _ = writeln!(text, "  {title:5} {shown}");
}

fn section(text: &mut String, title: &str, lines: &[String], shown: bool) {
    if lines.is_empty() || !shown {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WIDTH { line } else { format!("{}…", line.chars().take(WIDTH).collect::<String>()) }
}

/// Lines of both texts, those that differ marked. A text of one long line is cut at its fields.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new) = (lines(old), lines(new));
    let common = longest_common(&old, &new);
    let (mut text, mut at_old, mut at_new) = (String::new(), 0, 0);
    for (old_line, new_line) in common.into_iter().chain([(old.len(), new.len())]) {
        old[at_old..old_line].iter().for_each(|line| text.push_str(&format!("  - {line}\n")));
        new[at_new..new_line].iter().for_each(|line| text.push_str(&format!("  + {line}\n")));
        if let Some(line) = old.get(old_line) {
            text.push_str(&format!("    {line}\n"));
        }
        (at_old, at_new) = (old_line + 1, new_line + 1);
    }
    text
}

fn lines(text: &str) -> Vec<String> {
    if text.lines().count() > 1 || text.len() <= WIDTH {
        return text.lines().map(str::to_owned).collect();
    }
    text.replace(", \"", ",\n  \"").replace("{ \"", "{\n  \"").lines().map(str::to_owned).collect()
}

/// Pairs of indices of lines that stay, in order. Mappings are short, so the quadratic table is fine up to a bound.
fn longest_common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    if old.len() * new.len() > 1_000_000 {
        return Vec::new();
    }
    let mut lengths = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i][j] =
                if old[i] == new[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            common.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_marked() {
        let text = difference("{\n  \"a\": x,\n  \"b\": y\n}", "{\n  \"a\": z,\n  \"b\": y\n}");
        assert_eq!(text, "    {\n  -   \"a\": x,\n  +   \"a\": z,\n      \"b\": y\n    }\n");
    }
}
