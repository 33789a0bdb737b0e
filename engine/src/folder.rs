//! The data folder: held by one process at a time, with the configuration that the engine reads from it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

const LOCK: &str = "engine.lock";
const CONFIG: &str = "engine.xml";
const USERS: &str = "users.xml";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has it open.
    #[error(
        "the data folder {} is in use by process {owner}; stop that process, or give another folder",
        path.display()
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// The process that holds it, as its lock file says.
        owner: String,
    },
    /// It cannot be created, read or written.
    #[error("cannot use the data folder {}; check that it exists and may be written", path.display())]
    Io {
        /// The data folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The folder, locked until this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) config: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder where needed, locks it, and writes the engine's configuration into it.
    pub(crate) fn open(path: &Path, memory_bytes_max: u64) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join(LOCK))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner).map_err(io)?;
                return Err(Error::InUse { path, owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        lock.set_len(0).map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        let config = path.join(CONFIG);
        let users = path.join(USERS);
        fs::write(&config, config_xml(&users, memory_bytes_max)).map_err(io)?;
        fs::write(&users, users_xml(memory_bytes_max)).map_err(io)?;
        Ok(Self { path, config, _lock: lock })
    }
}

/// Server settings: memory bounds, few background threads, no log of its own.
fn config_xml(users: &Path, memory_bytes_max: u64) -> String {
    let users = escape(&users.to_string_lossy());
    let mark_cache_bytes = (memory_bytes_max / 20).min(256 << 20);
    format!(
        "<clickhouse>\n\
         <max_server_memory_usage>{memory_bytes_max}</max_server_memory_usage>\n\
         <mark_cache_size>{mark_cache_bytes}</mark_cache_size>\n\
         <uncompressed_cache_size>0</uncompressed_cache_size>\n\
         <background_pool_size>2</background_pool_size>\n\
         <background_schedule_pool_size>8</background_schedule_pool_size>\n\
         <merge_tree>\n\
         <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>\n\
         <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>\n\
         <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>\n\
         </merge_tree>\n\
         <user_directories><users_xml><path>{users}</path></users_xml></user_directories>\n\
         </clickhouse>\n"
    )
}

/// The one user, with a server's defaults where the library has others, and without the rights to read
/// or write outside of the data folder. `readonly` would not be enough: it lets table functions read files.
fn users_xml(memory_bytes_max: u64) -> String {
    let query_memory_bytes_max = memory_bytes_max / 4 * 3;
    let sources = ["FILE", "URL", "REMOTE", "S3", "AZURE", "HDFS", "MYSQL", "POSTGRES", "SQLITE", "ODBC"];
    let more = ["JDBC", "MONGO", "REDIS", "HIVE", "KAFKA", "NATS", "RABBITMQ"];
    let engines = ["File", "URL", "S3", "SQLite", "Executable", "ExecutablePool"];
    let revoked: String = (sources.iter().chain(&more))
        .map(|source| format!("<query>REVOKE READ, WRITE ON {source}</query>\n"))
        .chain(engines.iter().map(|engine| format!("<query>REVOKE TABLE ENGINE ON {engine}</query>\n")))
        .collect();
    format!(
        "<clickhouse>\n\
         <profiles><default>\n\
         <async_insert>0</async_insert>\n\
         <implicit_select>0</implicit_select>\n\
         <max_memory_usage>{query_memory_bytes_max}</max_memory_usage>\n\
         </default></profiles>\n\
         <quotas><default/></quotas>\n\
         <users><default>\n\
         <password></password>\n\
         <networks><ip>::/0</ip></networks>\n\
         <profile>default</profile>\n\
         <quota>default</quota>\n\
         <grants>\n\
         <query>GRANT ALL ON *.*</query>\n\
         {revoked}\
         <query>REVOKE SYSTEM SHUTDOWN ON *.*</query>\n\
         </grants>\n\
         </default></users>\n\
         </clickhouse>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::open(folder.path(), 1 << 30).unwrap();
        let refused = Folder::open(folder.path(), 1 << 30).unwrap_err();
        let expected = std::process::id().to_string();
        assert!(matches!(refused, Error::InUse { owner, .. } if owner == expected));
        drop(first);
        Folder::open(folder.path(), 1 << 30).unwrap();
    }
}
