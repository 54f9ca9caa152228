//! Figures of several rounds, each beside its baseline of the same round.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Unit {
    #[serde(rename = "records/s")]
    RecordsPerSecond,
    #[serde(rename = "runs/s")]
    RunsPerSecond,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "CPU s/M records")]
    CpuSecondsPerMillion,
    #[serde(rename = "instructions/record")]
    InstructionsPerRecord,
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::RecordsPerSecond => "records/s",
            Self::RunsPerSecond => "runs/s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Mebibytes => "MiB",
            Self::CpuSecondsPerMillion => "CPU s/M records",
            Self::InstructionsPerRecord => "instructions/record",
            Self::Count => "count",
        }
    }
}

/// One line of `results.json`. Without a baseline a figure is one itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// Median over the rounds.
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// Median of the baseline over the rounds.
    pub(crate) baseline: Option<f64>,
    /// Median over the rounds of value / baseline.
    pub(crate) ratio: Option<f64>,
}

/// A figure with how far its rounds lie apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) figure: Figure,
    /// Name of the baseline.
    pub(crate) against: Option<String>,
    /// Smallest and largest of the ratios, or of the values without a baseline.
    pub(crate) spread: (f64, f64),
    pub(crate) rounds: usize,
}

struct Series {
    unit: Unit,
    against: Option<String>,
    values: Vec<f64>,
}

/// What a part has measured so far. Value and baseline of one round have the same place in their series.
#[derive(Default)]
pub(crate) struct Sheet {
    series: IndexMap<String, Series>,
}

impl Sheet {
    /// Adds the figure of one round.
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: Unit, against: Option<&str>, value: f64) {
        let new = || Series { unit, against: against.map(ToOwned::to_owned), values: Vec::new() };
        self.series.entry(name.into()).or_insert_with(new).values.push(value);
    }

    /// One row per figure, in the order in which they first came.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.series.iter().filter_map(|(name, series)| self.row(name, series)).collect()
    }

    fn row(&self, name: &str, series: &Series) -> Option<Row> {
        let value = median(&series.values)?;
        let baseline = series.against.as_ref().and_then(|against| self.series.get(against));
        let ratios: Vec<f64> = baseline.map_or_else(Vec::new, |baseline| {
            let pairs = series.values.iter().zip(&baseline.values).filter(|(_, baseline)| **baseline > 0.0);
            pairs.map(|(value, baseline)| value / baseline).collect()
        });
        let spread = if ratios.is_empty() { &series.values } else { &ratios };
        let figure = Figure {
            name: name.to_owned(),
            value,
            unit: series.unit,
            baseline: baseline.and_then(|baseline| median(&baseline.values)),
            ratio: median(&ratios),
        };
        let against = series.against.clone();
        Some(Row { figure, against, spread: extremes(spread), rounds: series.values.len() })
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn extremes(values: &[f64]) -> (f64, f64) {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (smallest, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_each_round() {
        let mut sheet = Sheet::default();
        // The machine is twice as slow in the second round; the ratio does not see it.
        for (baseline, product) in [(100.0, 50.0), (50.0, 25.0), (110.0, 66.0)] {
            sheet.add("copy", Unit::RecordsPerSecond, None, baseline);
            sheet.add("product", Unit::RecordsPerSecond, Some("copy"), product);
        }
        let rows = sheet.rows();
        assert_eq!(rows[0].figure.value, 100.0);
        assert_eq!((rows[0].figure.baseline, rows[0].figure.ratio), (None, None));
        assert_eq!(rows[1].figure.value, 50.0);
        assert_eq!((rows[1].figure.baseline, rows[1].figure.ratio), (Some(100.0), Some(0.5)));
        assert_eq!(rows[1].spread, (0.5, 0.6));
        assert_eq!(rows[1].rounds, 3);
    }

    #[test]
    fn a_figure_whose_baseline_is_missing_stands_without_ratio() {
        let mut sheet = Sheet::default();
        sheet.add("product", Unit::Milliseconds, Some("hop"), 4.0);
        sheet.add("product", Unit::Milliseconds, Some("hop"), 6.0);
        let row = &sheet.rows()[0];
        assert_eq!((row.figure.value, row.figure.ratio, row.spread), (5.0, None, (4.0, 6.0)));
    }
}
