//! Fail points: named places of the protocol at which a test makes this process die, stop, wait or fail. Only builds
//! with debug assertions have them; in any other, asking is nothing. The crate `fail` cannot do what matters here: a
//! process that ends or freezes, or waits for another process.
//!
//! `TOLLBOOK_FAULTS` names them, with `;` between: `TOPIC POINT TIME ACTION`, where TIME is how often the point is reached
//! before, and this time, it acts, once. Actions: `abort`, `stop` (SIGSTOP), `error`, and `hold=FILE`, which waits until
//! the file is gone. A point of an insert bears the name of its table: `post.insert.entries`.

/// Does what is asked for at that point of that topic's worker.
///
/// # Errors
/// Where the point is to fail.
#[cfg(debug_assertions)]
pub(crate) fn point(topic: &str, point: &str) -> Result<(), String> {
    armed::reach(topic, point)
}

/// Nothing: this build has no fail points.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_: &str, _: &str) -> Result<(), String> {
    Ok(())
}

/// [`point`] of an insert into that table.
///
/// # Errors
/// As [`point`].
#[cfg(debug_assertions)]
pub(crate) fn insert(topic: &str, point: &str, table: &str) -> Result<(), String> {
    armed::reach(topic, &format!("{point}.{table}"))
}

/// Nothing: this build has no fail points.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn insert(_: &str, _: &str, _: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(debug_assertions)]
mod armed {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    const VARIABLE: &str = "TOLLBOOK_FAULTS";
    /// Pause between two looks at the file that a point waits for.
    const LOOK: Duration = Duration::from_millis(10);

    struct Fault {
        topic: String,
        point: String,
        /// How often the point must be reached before the fault acts, counted down.
        left: AtomicU64,
        action: Action,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Action {
        Abort,
        Stop,
        Fail,
        Hold(PathBuf),
    }

    pub(super) fn reach(topic: &str, point: &str) -> Result<(), String> {
        static FAULTS: OnceLock<Vec<Fault>> = OnceLock::new();
        let faults = FAULTS.get_or_init(|| {
            let text = std::env::var(VARIABLE).unwrap_or_default();
            text.split(';').filter(|fault| !fault.trim().is_empty()).filter_map(parse).collect()
        });
        let due = faults
            .iter()
            .filter(|fault| fault.topic == topic && fault.point == point)
            .find(|fault| fault.left.fetch_sub(1, Ordering::Relaxed) == 1);
        due.map_or(Ok(()), |fault| act(point, &fault.action))
    }

    fn parse(text: &str) -> Option<Fault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fault = match words[..] {
            [topic, point, time, action] => time.parse().ok().zip(action_of(action)).map(|(time, action)| {
                Fault { topic: topic.to_owned(), point: point.to_owned(), left: AtomicU64::new(time), action }
            }),
            _ => None,
        };
        if fault.is_none() {
            tracing::error!("{VARIABLE} has {text:?}: write TOPIC POINT TIME ACTION");
        }
        fault
    }

    fn action_of(word: &str) -> Option<Action> {
        Some(match word {
            "abort" => Action::Abort,
            "stop" => Action::Stop,
            "error" => Action::Fail,
            _ => Action::Hold(PathBuf::from(word.strip_prefix("hold=")?)),
        })
    }

    fn act(point: &str, action: &Action) -> Result<(), String> {
        tracing::warn!("Fail point {point}: {action:?}");
        match action {
            Action::Abort => std::process::abort(),
            Action::Stop => stop(),
            Action::Hold(file) => wait_until_gone(file),
            Action::Fail => return Err(format!("the fail point {point}")),
        }
        tracing::warn!("Fail point {point}: going on");
        Ok(())
    }

    fn stop() {
        let stopped = Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
        if let Err(error) = stopped {
            tracing::error!("This process cannot stop itself: {error}");
        }
        // The signal may be a moment on its way.
        std::thread::sleep(LOOK);
    }

    fn wait_until_gone(file: &Path) {
        while file.exists() {
            std::thread::sleep(LOOK);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fault_has_a_topic_a_point_a_time_and_an_action() {
            let fault = parse(" usage.events post.insert.entries 3 hold=/tmp/x ").unwrap();
            assert_eq!((&*fault.topic, &*fault.point), ("usage.events", "post.insert.entries"));
            assert_eq!(fault.left.into_inner(), 3);
            assert_eq!(fault.action, Action::Hold(PathBuf::from("/tmp/x")));
            assert!(parse("usage.events post.announced once abort").is_none());
            assert!(parse("usage.events post.announced 1 explode").is_none());
        }
    }
}
