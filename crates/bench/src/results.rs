//! The table for people and `results.json` for programs.

use std::fs;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use crate::error::{BenchError, Result};
use crate::sheet::{Figure, Sheet};

/// What a part has to say.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) sheet: Sheet,
    /// What could not be measured, or was not as it should be.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn print(&self, title: &str) {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_header([title, "value", "unit", "baseline", "ratio", "spread", "against", "rounds"]);
        for row in self.sheet.rows() {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), shown);
            table.add_row([
                row.figure.name.clone(),
                shown(row.figure.value),
                row.figure.unit.symbol().to_owned(),
                number(row.figure.baseline),
                number(row.figure.ratio),
                format!("{} … {}", shown(row.spread.0), shown(row.spread.1)),
                row.against.clone().unwrap_or_else(|| "-".to_owned()),
                row.rounds.to_string(),
            ]);
        }
        for column in [1, 3, 4, 7] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}");
        for note in &self.notes {
            println!("note: {note}");
        }
    }

    /// Puts the figures into the file: those of the same name are replaced, the others stay.
    pub(crate) fn merge_into(&self, path: &Path) -> Result<()> {
        let mut figures: Vec<Figure> = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(BenchError::file(path)(error)),
        };
        let rows = self.sheet.rows();
        figures.retain(|figure| !rows.iter().any(|row| row.figure.name == figure.name));
        figures.extend(rows.into_iter().map(|row| row.figure));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(BenchError::file(directory))?;
        }
        fs::write(path, serde_json::to_vec_pretty(&figures)?).map_err(BenchError::file(path))
    }
}

/// Three digits that matter, large numbers whole.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Unit;

    fn report(name: &str, value: f64) -> Report {
        let mut sheet = Sheet::default();
        sheet.add(name, Unit::Seconds, None, value);
        Report { sheet, notes: Vec::new() }
    }

    #[test]
    fn parts_merge_into_one_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bench").join("results.json");
        for (name, value) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            report(name, value).merge_into(&path).expect("written");
        }
        let figures: Vec<Figure> = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let values: Vec<_> = figures.iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
        assert_eq!(values, [("b", 2.0), ("a", 3.0)]);
    }

    #[test]
    fn numbers_show_three_digits_that_matter() {
        assert_eq!([0.123_45, 1.234, 12.34, 123.4, 12345.6].map(shown), ["0.123", "1.23", "12.3", "123", "12346"]);
    }
}
