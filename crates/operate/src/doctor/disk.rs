use std::path::Path;

use super::Finding;

/// Less is little: Kafka stops when a segment cannot be written.
const LITTLE: u64 = 2 << 30;
const VERY_LITTLE: u64 = 256 << 20;

/// Room on the disk of the local broker and of claims.
pub fn disk(directory: &Path) -> Finding {
    let known = directory.ancestors().find(|directory| directory.exists()).unwrap_or(directory);
    match rustix::fs::statvfs(known) {
        Ok(found) => judge(directory, found.f_bavail.saturating_mul(found.f_frsize)),
        Err(error) => Finding::warn("disk", format!("{}: {error}", directory.display()), "look whether it is mounted"),
    }
}

fn judge(directory: &Path, free: u64) -> Finding {
    let detail = format!("{} MiB are free in {}", free >> 20, directory.display());
    let next = "make room, or shorten retentions (topics.overrides): a full disk stops the local Kafka (docs/errors/PRN-0218.md)";
    match free {
        ..VERY_LITTLE => Finding::wrong("disk", detail, next),
        VERY_LITTLE..LITTLE => Finding::warn("disk", detail, next),
        _ => Finding::ok("disk", detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_disk_that_is_nearly_full_is_wrong() {
        let here = Path::new("/");
        let levels = [1 << 20, 1 << 30, 1 << 40].map(|free| judge(here, free).level);
        assert_eq!(levels, [Level::Wrong, Level::Warn, Level::Ok]);
        assert_eq!(disk(&std::env::temp_dir().join("not/yet/there")).check, "disk");
    }
}
