//! Compiles the library that makes a process's renames of files fail (`support/failing.rs`).

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let source = "support/failing.rs";
    println!("cargo::rerun-if-changed={source}");
    let library = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("libfailing.so");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(compiler)
        .args([
            "--crate-name",
            "failing",
            "--crate-type",
            "cdylib",
            "--edition",
            "2024",
            "-C",
            "opt-level=1",
            "-o",
        ])
        .arg(&library)
        .arg(source)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "could not compile {source}; the compiler says why");
    println!("cargo::rustc-env=FAILING_LIBRARY={}", library.display());
}
