use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use prunella_mapping::{Bindings, Engine, EvalError, Expression, Input, Moment};

use crate::cases::{self, Cases};
use crate::{Failure, engines, limits};

/// Lines of ours start so: engines may print too.
pub(crate) const MARK: &str = "@@ ";

fn engine(name: &str) -> Result<Arc<dyn Engine>, Failure> {
    engines().into_iter().find(|engine| engine.name() == name).ok_or_else(|| "no such engine".into())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}")?;
    out.flush()
}

/// Evaluates the cases from `first` on and says the verdict on each.
pub(crate) fn cases(name: &str, first: usize) -> Result<(), Failure> {
    let engine = engine(name)?;
    let cases = Cases::load()?;
    for case in cases.cases.iter().skip(first) {
        let bindings =
            case.bindings.iter().fold(Bindings::new(), |bindings, (name, value)| bindings.with(name, value.clone()));
        let outcome = match Expression::compile_with(&*engine, &case.expr) {
            Ok(expression) => {
                expression.evaluate_input(&Input::new(cases.input(case)), &bindings, Moment::new(0, 0), &limits())
            }
            Err(error) if error.message.contains("panicked") => Err(EvalError::Engine { reason: error.message }),
            Err(error) => Err(EvalError::Input { reason: error.message }),
        };
        say(case.judge(&outcome))?;
    }
    Ok(())
}

/// Runs one hostile case and says what came of it.
pub(crate) fn hostile(name: &str, case: usize) -> Result<(), Failure> {
    let engine = engine(name)?;
    let (_, source, item) = cases::hostile().into_iter().nth(case).ok_or("no such case")?;
    let verdict = match Expression::compile_with(&*engine, &source) {
        Err(error) => error.code.to_string(),
        Ok(expression) => match expression.map_item(item.as_bytes(), &Bindings::new(), Moment::new(0, 0), &limits()) {
            Ok(text) => String::from_utf8_lossy(&text).chars().take(40).collect(),
            Err(error) => error.code().to_string(),
        },
    };
    say(&format!("{verdict}, {} MiB", memory("VmHWM") >> 10))?;
    Ok(())
}

/// Maps orders again and again; says how long one takes and how much memory stays behind.
pub(crate) fn orders(name: &str) -> Result<(), Failure> {
    const ROUNDS: u32 = 200;
    let engine = engine(name)?;
    let mapping = Expression::compile_with(&*engine, include_str!("../../tests/data/orders.jsonata"))?;
    let orders: Vec<_> = include_str!("../../tests/data/orders.ndjson").lines().collect();
    let map_all = || -> Result<(), Failure> {
        for order in &orders {
            mapping.map_item(order.as_bytes(), &Bindings::new(), Moment::new(0, 0), &limits())?;
        }
        Ok(())
    };
    map_all()?;
    let (started, before) = (Instant::now(), memory("VmRSS"));
    for _ in 0..ROUNDS {
        map_all()?;
    }
    let mapped = ROUNDS * u32::try_from(orders.len())?;
    let each = started.elapsed() / mapped;
    let kept = (memory("VmRSS").saturating_sub(before)) * 1024 / u64::from(mapped);
    say(&format!("{} µs and {kept} bytes left behind per order ({mapped} orders)", each.as_micros()))?;
    Ok(())
}

/// A figure of this process, in KiB.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
