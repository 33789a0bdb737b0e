//! What `up` leaves in its data folder for the command line to find: where the API is, and the first admin token.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

const TOKEN_FILE: &str = "admin.token";
const URL_FILE: &str = "url";

/// Keeps the token in the data folder, readable by its owner alone; answers where.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn keep(data: &Path, token: &str) -> anyhow::Result<PathBuf> {
    let path = data.join(TOKEN_FILE);
    write(&path, token)?;
    Ok(path)
}

/// Keeps the address at which this machine reaches the API.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn keep_url(data: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    write(&data.join(URL_FILE), &format!("http://{host}:{}", listen.port()))
}

/// The token and the address that `up` left in the data folder, where it did.
pub(crate) fn left(data: &Path) -> (Option<String>, Option<String>) {
    let read = |name: &str| std::fs::read_to_string(data.join(name)).ok().map(|text| text.trim().to_owned());
    (read(URL_FILE), read(TOKEN_FILE))
}

/// 64 random hexadecimal digits.
///
/// # Errors
/// Where the system has no randomness.
pub(crate) fn random_text() -> anyhow::Result<String> {
    use std::fmt::Write;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("reading random bytes")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).with_context(|| format!("writing {}", path.display()))?;
    writeln!(file, "{text}").with_context(|| format!("writing {}", path.display()))
}
