//! A library that is loaded before all others into a process under test, and makes its renames of files fail with EIO while
//! a file says so. Compiled by `build.rs` on its own, without any crate.
//!
//! `FAIL_WHEN` names that file. Each of its lines is a part of the path that a rename must be about, such as `tmp_insert`;
//! without the file, and for all other renames, everything is as ever.

use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::sync::OnceLock;

const EIO: c_int = 5;
/// The next library that has the symbol.
const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;

type Rename = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;

unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
}

/// Whether a rename of that file is to fail.
fn is_to_fail(path: &str) -> bool {
    static FILE: OnceLock<Option<OsString>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os("FAIL_WHEN")) else { return false };
    std::fs::read_to_string(file).is_ok_and(|parts| parts.lines().any(|part| path.contains(part)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    if is_to_fail(&unsafe { CStr::from_ptr(from) }.to_string_lossy()) {
        unsafe { *__errno_location() = EIO };
        return -1;
    }
    static REAL: OnceLock<usize> = OnceLock::new();
    let real = *REAL.get_or_init(|| unsafe { dlsym(RTLD_NEXT, c"rename".as_ptr()) } as usize);
    let real: Rename = unsafe { std::mem::transmute(real) };
    unsafe { real(from, to) }
}
