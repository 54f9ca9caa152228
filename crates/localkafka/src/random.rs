//! Identifiers and passwords that live as long as a data directory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::LocalKafkaError;

/// A cluster id as Kafka wants it: 16 bytes in URL-safe base64. The first byte is zero, so that no id begins with a dash
/// and is taken for an option.
pub(crate) fn cluster_id() -> Result<String, LocalKafkaError> {
    let mut bytes: [u8; 16] = random_bytes()?;
    bytes[0] = 0;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// 144 bits in letters and digits.
pub(crate) fn password() -> Result<String, LocalKafkaError> {
    let bytes: [u8; 18] = random_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random_bytes<const N: usize>() -> Result<[u8; N], LocalKafkaError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(LocalKafkaError::io("read random bytes from", source))?;
    Ok(bytes)
}
