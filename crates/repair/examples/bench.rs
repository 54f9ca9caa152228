//! Repairs every case of a directory and writes a result file each: `bench CASES OUT [--without INGREDIENT]`.

use std::path::Path;
use std::time::Instant;

use prunella_repair::{CaseFiles, Ingredients, Settings, case_directories, repair};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cases, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: bench CASES OUT [--without INGREDIENT]".into());
    };
    let ingredients = match rest {
        [flag, name] if flag == "--without" => Ingredients::without(name).ok_or("no such ingredient")?,
        _ => Ingredients::default(),
    };
    let settings = Settings { ingredients, ..Settings::default() };
    std::fs::create_dir_all(out)?;
    for directory in case_directories(Path::new(cases))? {
        let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case = CaseFiles::in_directory(&directory).load(&id)?;
        let started = Instant::now();
        let result = repair(&case, &settings)?;
        let ms = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
        let mut line = serde_json::to_value(&result)?;
        line["ms"] = json!(ms);
        std::fs::write(Path::new(out).join(format!("{id}.json")), serde_json::to_string_pretty(&line)?)?;
    }
    Ok(())
}
