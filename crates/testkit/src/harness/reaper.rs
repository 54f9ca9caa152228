//! What a test process leaves behind when it ends, in whatever way, is cleaned up by a child that outlives it.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Its standard input ends with us. Process ids are those of children that were not reaped yet, so they are not reused.
const SCRIPT: &str = r#"
processes=" " directories=
while read -r what value; do
  case $what in
    started) processes="$processes$value " ;;
    ended) processes=$(echo "$processes" | sed "s/ $value / /") ;;
    directory) directories="$directories $value" ;;
  esac
done
for process in $processes; do kill -9 "$process" 2>/dev/null; done
[ -z "$directories" ] || { sleep 1; rm -rf $directories; }
"#;

static REAPER: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Mutex::new(command.spawn().expect("sh starts"))
});

fn tell(what: &str, value: &str) {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    let input = reaper.stdin.as_mut().expect("its input was piped");
    writeln!(input, "{what} {value}").expect("the reaper listens");
}

/// To be killed if it is still there when this process ends.
pub(crate) fn started(process: u32) {
    tell("started", &process.to_string());
}

pub(crate) fn ended(process: u32) {
    tell("ended", &process.to_string());
}

/// To be removed when this process has ended. The path has no blanks.
pub(crate) fn directory(path: &Path) {
    tell("directory", &path.display().to_string());
}
