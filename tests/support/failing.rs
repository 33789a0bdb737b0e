//! A library that is loaded before all others into a process under test, and makes its calls on files fail with EIO while
//! a file says so. Compiled by `build.rs` on its own, without any crate.
//!
//! `FAIL_WHEN` names that file. Each of its lines is a call and a part of the path that it must be about, such as
//! `rename tmp_insert`; without the file, and for all other calls, everything is as ever.

use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::sync::OnceLock;

const EIO: c_int = 5;
/// The next library that has the symbol.
const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;

unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
}

/// Whether the call about that path is to fail.
fn is_to_fail(call: &str, path: impl Fn() -> String) -> bool {
    static FILE: OnceLock<Option<OsString>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os("FAIL_WHEN")) else { return false };
    let Ok(text) = std::fs::read_to_string(file) else { return false };
    text.lines().any(|line| {
        let (name, part) = line.split_once(' ').unwrap_or((line, ""));
        name == call && path().contains(part)
    })
}

fn path_of(descriptor: c_int) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
    link.map(|path| path.display().to_string()).unwrap_or_default()
}

fn text(path: *const c_char) -> String {
    unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned()
}

fn fail<T: From<i8>>() -> T {
    unsafe { *__errno_location() = EIO };
    T::from(-1)
}

macro_rules! calls {
    ($($name:ident ( $($argument:ident : $type:ty),* ) -> $answer:ty, about $path:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            if is_to_fail(stringify!($name), || $path) {
                return fail();
            }
            static REAL: OnceLock<usize> = OnceLock::new();
            let name = concat!(stringify!($name), "\0");
            let real = *REAL.get_or_init(|| unsafe { dlsym(RTLD_NEXT, name.as_ptr().cast()) } as usize);
            let real: unsafe extern "C" fn($($type),*) -> $answer = unsafe { std::mem::transmute(real) };
            unsafe { real($($argument),*) }
        }
    )* };
}

calls! {
    rename(from: *const c_char, to: *const c_char) -> c_int, about format!("{} {}", text(from), text(to));
    write(file: c_int, bytes: *const c_void, length: usize) -> isize, about path_of(file);
    pwrite64(file: c_int, bytes: *const c_void, length: usize, at: i64) -> isize, about path_of(file);
    fsync(file: c_int) -> c_int, about path_of(file);
    fdatasync(file: c_int) -> c_int, about path_of(file);
}
