use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use prunella_operate::{Activity, Offsets, Snapshot};

use crate::cli::TopArgs;
use crate::commands::Context;
use crate::desk::desk;
use crate::failure::Failure;
use crate::print::{table, time};
use crate::signals::stop_on_signal;
use prunella_stream::homes::now_millis;

/// Cursor to the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears the screen; the rest of a line; what is below.
const CLEAR: &str = "\x1b[2J";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

pub async fn run(context: &Context, args: &TopArgs) -> Result<ExitCode, Failure> {
    let desk = desk(context).await?;
    let offsets = Offsets::new(&desk.kafka)?;
    let stop = stop_on_signal()?;
    let repaints = !args.once && !context.json && std::io::IsTerminal::is_terminal(&std::io::stdout());
    if repaints {
        print!("{CLEAR}");
    }
    let mut earlier = Snapshot::take(&desk, &offsets).await?;
    loop {
        tokio::select! {
            () = tokio::time::sleep(args.every.duration()) => {}
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
        }
        let now = Snapshot::take(&desk, &offsets).await?;
        let activity = now.since(&earlier, &offsets).await?;
        earlier = now;
        if context.json {
            println!("{}", json!(activity));
        } else if repaints {
            let lines: Vec<String> = shown(&activity).lines().map(|line| format!("{line}{CLEAR_LINE}")).collect();
            print!("{HOME}{}\n{CLEAR_BELOW}", lines.join("\n"));
            std::io::stdout().flush()?;
        } else {
            println!("{}", shown(&activity));
        }
        if args.once {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn shown(activity: &Activity) -> String {
    let rate = |rate: f64| if rate >= 100.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") };
    let mut stages = table(&["stage", "members", "waiting", "arriving", "done"]);
    for one in &activity.stages {
        stages.add_row([
            one.stage.clone(),
            one.members.to_string(),
            one.lag.to_string(),
            rate(one.arriving),
            rate(one.done),
        ]);
    }
    let mut names = table(&["workflow or stream", "outputs", "dead letters", "ever"]);
    for one in &activity.names {
        names.add_row([
            one.name.clone(),
            rate(one.outputs),
            rate(one.dead_letters),
            one.dead_letters_total.to_string(),
        ]);
    }
    format!("{} UTC, over {:.1} s\n\n{stages}\n\n{names}", time(now_millis()), activity.seconds)
}
