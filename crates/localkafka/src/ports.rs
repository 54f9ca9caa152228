//! Ports on the loopback interface.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::error::LocalKafkaError;

/// Below the range from which systems pick ports for outgoing connections, so that a port stays free between two starts.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
const ATTEMPTS: u16 = 500;

/// The port to listen on: the wanted one, or else the one remembered in `file`, or else a free one.
pub(crate) fn choose(wanted: Option<u16>, file: &Path, taken: &[u16]) -> Result<u16, LocalKafkaError> {
    if let Some(port) = wanted {
        return if is_free(port) { Ok(port) } else { Err(LocalKafkaError::PortTaken { port }) };
    }
    if let Some(port) = remembered(file)
        && !taken.contains(&port)
        && is_free(port)
    {
        return Ok(port);
    }
    let port = find_free(file, taken)?;
    fs::write(file, port.to_string()).map_err(LocalKafkaError::io("write", file))?;
    Ok(port)
}

/// `count` free ports for servers that live below `directory`.
pub(crate) fn several(directory: &Path, count: usize) -> Result<Vec<u16>, LocalKafkaError> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        taken.push(find_free(directory, &taken)?);
    }
    Ok(taken)
}

pub(crate) fn forget(file: &Path) -> Result<(), LocalKafkaError> {
    crate::data_dir::remove_file_if_there(file)
}

fn remembered(file: &Path) -> Option<u16> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Starts at a place that depends on the file and the process, so that servers started together do not meet.
fn find_free(file: &Path, taken: &[u16]) -> Result<u16, LocalKafkaError> {
    let mut hasher = DefaultHasher::new();
    (file, std::process::id()).hash(&mut hasher);
    let start = u16::try_from(hasher.finish() % u64::from(COUNT)).unwrap_or_default();
    (0..ATTEMPTS)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !taken.contains(port) && is_free(*port))
        .ok_or(LocalKafkaError::PortTaken { port: FIRST + start })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_kept_until_somebody_else_has_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("port");
        let first = choose(None, &file, &[]).expect("a port");
        assert_eq!(choose(None, &file, &[]).expect("a port"), first);

        let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("it was free");
        let second = choose(None, &file, &[]).expect("a port");
        assert_ne!(second, first);
        assert!(matches!(choose(Some(first), &file, &[]), Err(LocalKafkaError::PortTaken { port }) if port == first));
        drop(somebody);
        assert_eq!(choose(None, &file, &[]).expect("a port"), second);
    }
}
