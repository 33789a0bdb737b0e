//! The C functions of libchdb, and the only unsafe code of the crate: loads the library and gives its
//! connections, results and streams owners that free them. Knows nothing of HTTP.
#![expect(unsafe_code, reason = "the engine has a C interface; every call to it is in this file")]

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    fmt,
    mem::ManuallyDrop,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr::{self, NonNull},
    sync::Arc,
};

/// The npm package that carries the library this crate is written for.
pub const PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";

/// Why the library could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no file at the configured place.
    #[error(
        "the ClickHouse engine is not installed: no file at {}; install it with `npm pack {PACKAGE}`, \
         unpack `package/libchdb.so` from the archive and put it there", path.display()
    )]
    Missing {
        /// Where the library was looked for.
        path: PathBuf,
    },
    /// The file is there but the dynamic loader refuses it.
    #[error("cannot load the ClickHouse engine from {}; is it the library of {PACKAGE}?", path.display())]
    Load {
        /// The file that was refused.
        path: PathBuf,
        /// What the loader said.
        #[source]
        source: libloading::Error,
    },
    /// The library lacks a function: it is older than 26.7 or something else.
    #[error("{} lacks the function `{symbol}`; install the library of {PACKAGE}", path.display())]
    Symbol {
        /// The library.
        path: PathBuf,
        /// The function it lacks.
        symbol: &'static str,
        /// What the loader said.
        #[source]
        source: libloading::Error,
    },
    /// The engine gave no connection; it writes the cause to standard error.
    #[error("the ClickHouse engine did not open {}; its own message is on standard error", path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
    },
}

/// A message of the engine: `Code: 60. DB::Exception: …`.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// What the engine's own parser says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Classified {
    /// Executable statements; 0 where the text does not parse.
    pub(crate) statements: u32,
    /// Whether it changes the session or leaves the engine (`SET`, `KILL`, `INTO OUTFILE` …).
    pub(crate) controls: bool,
}

/// Names and values of a statement's `{name:Type}` parameters.
pub(crate) type Parameters = [(String, String)];

type RawConnection = *mut c_void;
type RawResult = c_void;
type RawInsert = *mut c_void;
type QueryFunction = unsafe extern "C" fn(
    RawConnection,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> *mut RawResult;

#[repr(C)]
struct Analysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

const CLASS_CONTROL: u32 = 3;

macro_rules! functions {
    ($($field:ident: $symbol:literal as $type:ty;)*) => {
        struct Functions { $($field: $type,)* }

        impl Functions {
            fn load(library: &libloading::Library, path: &Path) -> Result<Self, Error> {
                Ok(Self { $(
                    // SAFETY: the type is the one that chdb.h of the pinned version declares for the symbol.
                    $field: unsafe { *library.get::<$type>($symbol).map_err(|source| Error::Symbol {
                        path: path.to_owned(), symbol: $symbol, source,
                    })? },
                )* })
            }
        }
    };
}

functions! {
    version: "chdb_version" as unsafe extern "C" fn() -> *const c_char;
    set_signal_handlers: "chdb_set_signal_handlers_enabled" as unsafe extern "C" fn(c_int);
    connect: "chdb_connect" as unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection;
    close: "chdb_close_conn" as unsafe extern "C" fn(*mut RawConnection);
    classify: "chdb_classify_query_n" as unsafe extern "C" fn(
        RawConnection, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int;
    query: "chdb_query_with_params_n" as QueryFunction;
    stream: "chdb_stream_query_with_params_n" as QueryFunction;
    stream_fetch: "chdb_stream_fetch_result" as unsafe extern "C" fn(RawConnection, *mut RawResult) -> *mut RawResult;
    stream_cancel: "chdb_stream_cancel_query" as unsafe extern "C" fn(RawConnection, *mut RawResult);
    insert: "chdb_stream_insert_with_params_n" as unsafe extern "C" fn(
        RawConnection, *const c_char, usize, *const c_char, usize,
        *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawInsert;
    insert_append: "chdb_stream_append" as unsafe extern "C" fn(RawInsert, *const c_void, usize) -> c_int;
    insert_done: "chdb_stream_done" as unsafe extern "C" fn(RawInsert) -> *mut RawResult;
    insert_error: "chdb_stream_insert_error" as unsafe extern "C" fn(RawInsert) -> *const c_char;
    insert_destroy: "chdb_destroy_insert_stream" as unsafe extern "C" fn(RawInsert);
    result_destroy: "chdb_destroy_query_result" as unsafe extern "C" fn(*mut RawResult);
    result_buffer: "chdb_result_buffer" as unsafe extern "C" fn(*mut RawResult) -> *mut c_char;
    result_length: "chdb_result_length" as unsafe extern "C" fn(*mut RawResult) -> usize;
    result_error: "chdb_result_error" as unsafe extern "C" fn(*mut RawResult) -> *const c_char;
    result_rows: "chdb_result_rows_read" as unsafe extern "C" fn(*mut RawResult) -> u64;
    result_rows_read: "chdb_result_storage_rows_read" as unsafe extern "C" fn(*mut RawResult) -> u64;
    result_bytes_read: "chdb_result_storage_bytes_read" as unsafe extern "C" fn(*mut RawResult) -> u64;
    result_rows_written: "chdb_result_rows_written" as unsafe extern "C" fn(*mut RawResult) -> u64;
    result_bytes_written: "chdb_result_bytes_written" as unsafe extern "C" fn(*mut RawResult) -> u64;
}

/// The loaded library. It is never unloaded: its threads and static destructors outlive any owner.
pub(crate) struct Library {
    functions: Functions,
    _handle: ManuallyDrop<libloading::Library>,
}

impl Library {
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, Error> {
        if !path.is_file() {
            return Err(Error::Missing { path: path.to_owned() });
        }
        // SAFETY: running the library's initializers is what loading it is for; the path is the operator's.
        let handle = unsafe { libloading::Library::new(path) }
            .map_err(|source| Error::Load { path: path.to_owned(), source })?;
        let functions = Functions::load(&handle, path)?;
        // SAFETY: called before the first connection, as chdb.h asks. With the engine's handlers a
        // segmentation fault would hang the process in silence instead of ending it.
        unsafe { (functions.set_signal_handlers)(0) };
        Ok(Arc::new(Self { functions, _handle: ManuallyDrop::new(handle) }))
    }

    /// The version of the engine, such as `26.7.3`.
    pub(crate) fn version(&self) -> String {
        // SAFETY: returns a static string that ends in NUL.
        text(unsafe { (self.functions.version)() }).unwrap_or_default()
    }

    /// Opens a connection. The first one starts the engine on the folder, the last one that closes stops it.
    pub(crate) fn connect(self: &Arc<Self>, folder: &Path, config: &Path) -> Result<Connection, Error> {
        let open = || Error::Open { path: folder.to_owned() };
        let arguments = [
            CString::from(c"clickhouse"),
            option("--path=", folder.as_os_str()).ok_or_else(open)?,
            option("--config-file=", config.as_os_str()).ok_or_else(open)?,
        ];
        let mut pointers = arguments.each_ref().map(|argument| argument.as_ptr().cast_mut());
        let count = c_int::try_from(pointers.len()).map_err(|_| open())?;
        // SAFETY: `count` strings that end in NUL and live through the call, which only reads them.
        let handle = unsafe { (self.functions.connect)(count, pointers.as_mut_ptr()) };
        let handle = NonNull::new(handle).ok_or_else(open)?;
        Ok(Connection { library: Arc::clone(self), handle })
    }

    fn output(self: &Arc<Self>, result: *mut RawResult) -> Result<Output, Failure> {
        let Some(handle) = NonNull::new(result) else {
            return Err(Failure(
                "Code: 49. DB::Exception: the engine returned no result. (LOGICAL_ERROR)".into(),
            ));
        };
        let output = Output { library: Arc::clone(self), handle };
        // SAFETY: `handle` is a live result.
        match text(unsafe { (self.functions.result_error)(handle.as_ptr()) }) {
            Some(message) => Err(Failure(message)),
            None => Ok(output),
        }
    }
}

/// Ends the process at once: static destructors of the engine can hang or crash.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running anything more of it.
    unsafe { nix::libc::_exit(code) }
}

/// One session of the engine. Statements on it run one after another; connections run side by side.
pub(crate) struct Connection {
    library: Arc<Library>,
    handle: NonNull<RawConnection>,
}

// SAFETY: the engine locks a connection around each call and binds none to a thread.
unsafe impl Send for Connection {}

impl Connection {
    /// Parses the text without running it.
    pub(crate) fn classify(&self, sql: &[u8]) -> Classified {
        let mut analysis = Analysis { struct_size: 16, statement_count: 0, flags: 0, query_class: 0 };
        // SAFETY: pointer and length belong together; the struct has the size it states.
        let state = unsafe {
            (self.library.functions.classify)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        match state {
            0 => Classified {
                statements: analysis.statement_count,
                controls: analysis.query_class == CLASS_CONTROL,
            },
            _ => Classified { statements: 0, controls: false },
        }
    }

    /// Runs a text and returns its whole result, in `format` unless the text names one. Runs every
    /// statement of the text: [`Self::classify`] it first.
    pub(crate) fn query(&self, sql: &[u8], format: &str, parameters: &Parameters) -> Result<Output, Failure> {
        self.library.output(self.call(self.library.functions.query, sql, format, parameters))
    }

    /// Starts a SELECT whose result comes in pieces, each of them formatted anew.
    pub(crate) fn stream(
        &self,
        sql: &[u8],
        format: &str,
        parameters: &Parameters,
    ) -> Result<Select<'_>, Failure> {
        let handle = self.call(self.library.functions.stream, sql, format, parameters);
        Ok(Select { connection: self, handle: self.library.output(handle)?, ended: false })
    }

    /// Starts an INSERT whose data comes in pieces; `sql` has no FORMAT clause. With a text that is no
    /// INSERT, or does not parse, it runs nothing and returns why.
    pub(crate) fn insert(
        &self,
        sql: &[u8],
        format: &str,
        parameters: &Parameters,
    ) -> Result<Insert<'_>, Failure> {
        let lists = Lists::of(parameters);
        // SAFETY: every pointer comes with its own length and lives through the call, which copies.
        let raw = unsafe {
            (self.library.functions.insert)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                lists.names.as_ptr(),
                lists.name_lengths.as_ptr(),
                lists.values.as_ptr(),
                lists.value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        let insert = Insert { connection: self, raw };
        match insert.error() {
            Some(message) => Err(Failure(message)),
            None => Ok(insert),
        }
    }

    fn call(
        &self,
        function: QueryFunction,
        sql: &[u8],
        format: &str,
        parameters: &Parameters,
    ) -> *mut RawResult {
        let lists = Lists::of(parameters);
        // SAFETY: every pointer comes with its own length and lives through the call, which copies.
        unsafe {
            function(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                lists.names.as_ptr(),
                lists.name_lengths.as_ptr(),
                lists.values.as_ptr(),
                lists.value_lengths.as_ptr(),
                parameters.len(),
            )
        }
    }

    fn raw(&self) -> RawConnection {
        // SAFETY: the handle points to the connection until it is closed, in `drop`.
        unsafe { self.handle.as_ptr().read() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: streams borrow the connection, so none is left; the handle is not used again.
        unsafe { (self.library.functions.close)(self.handle.as_ptr()) };
    }
}

/// A result, or a piece of one, in the engine's own buffer.
pub(crate) struct Output {
    library: Arc<Library>,
    handle: NonNull<RawResult>,
}

// SAFETY: a finished result is a buffer and numbers that nothing changes any more.
unsafe impl Send for Output {}
// SAFETY: as above; reading it through shared references changes nothing.
unsafe impl Sync for Output {}

/// The engine's own count of what a statement did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    pub(crate) rows_read: u64,
    pub(crate) bytes_read: u64,
    pub(crate) rows_written: u64,
    pub(crate) bytes_written: u64,
}

impl Output {
    pub(crate) fn counts(&self) -> Counts {
        let (functions, handle) = (&self.library.functions, self.handle.as_ptr());
        // SAFETY: `handle` is a live result; the functions only read it.
        unsafe {
            Counts {
                rows: (functions.result_rows)(handle),
                rows_read: (functions.result_rows_read)(handle),
                bytes_read: (functions.result_bytes_read)(handle),
                rows_written: (functions.result_rows_written)(handle),
                bytes_written: (functions.result_bytes_written)(handle),
            }
        }
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        let (functions, handle) = (&self.library.functions, self.handle.as_ptr());
        // SAFETY: buffer and length are of the same live result, which owns the bytes and never changes.
        unsafe {
            let (buffer, length) = ((functions.result_buffer)(handle), (functions.result_length)(handle));
            if buffer.is_null() { &[] } else { std::slice::from_raw_parts(buffer.cast(), length) }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the only owner frees it, once.
        unsafe { (self.library.functions.result_destroy)(self.handle.as_ptr()) };
    }
}

/// A running SELECT; dropping it before its end cancels it.
pub(crate) struct Select<'a> {
    connection: &'a Connection,
    handle: Output,
    ended: bool,
}

impl Select<'_> {
    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Output>, Failure> {
        let library = &self.connection.library;
        // SAFETY: both handles are live; the exclusive borrow keeps calls one after another.
        let piece =
            unsafe { (library.functions.stream_fetch)(self.connection.raw(), self.handle.handle.as_ptr()) };
        let piece = library.output(piece).inspect_err(|_| self.ended = true)?;
        if piece.as_ref().is_empty() {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(piece))
    }
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: both handles are live, and no fetch runs: it would hold the exclusive borrow.
            unsafe {
                (self.connection.library.functions.stream_cancel)(
                    self.connection.raw(),
                    self.handle.handle.as_ptr(),
                );
            }
        }
    }
}

/// A running INSERT; dropping it before [`Insert::finish`] gives it up.
pub(crate) struct Insert<'a> {
    connection: &'a Connection,
    raw: RawInsert,
}

impl Insert<'_> {
    /// Hands over a piece of data; waits while the engine has enough. `false` when the insert has failed:
    /// [`Self::finish`] then says why.
    pub(crate) fn append(&self, piece: &[u8]) -> bool {
        let append = self.connection.library.functions.insert_append;
        // SAFETY: a live stream; the call copies the bytes.
        unsafe { append(self.raw, piece.as_ptr().cast(), piece.len()) == 0 }
    }

    /// Ends the data and waits until the rows are stored.
    pub(crate) fn finish(self) -> Result<Counts, Failure> {
        let library = &self.connection.library;
        // SAFETY: a live stream, whose handle `drop` frees afterwards.
        let result = unsafe { (library.functions.insert_done)(self.raw) };
        library.output(result).map(|output| output.counts())
    }

    fn error(&self) -> Option<String> {
        // SAFETY: a live stream; the text is copied at once.
        text(unsafe { (self.connection.library.functions.insert_error)(self.raw) })
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: freed once; where it was not finished the call cancels first.
        unsafe { (self.connection.library.functions.insert_destroy)(self.raw) };
    }
}

/// Parameters as the parallel arrays of the C interface.
struct Lists {
    names: Vec<*const c_char>,
    name_lengths: Vec<usize>,
    values: Vec<*const c_char>,
    value_lengths: Vec<usize>,
}

impl Lists {
    fn of(parameters: &Parameters) -> Self {
        Self {
            names: parameters.iter().map(|(name, _)| name.as_ptr().cast()).collect(),
            name_lengths: parameters.iter().map(|(name, _)| name.len()).collect(),
            values: parameters.iter().map(|(_, value)| value.as_ptr().cast()).collect(),
            value_lengths: parameters.iter().map(|(_, value)| value.len()).collect(),
        }
    }
}

fn option(name: &str, value: &OsStr) -> Option<CString> {
    CString::new([name.as_bytes(), value.as_bytes()].concat()).ok()
}

/// Copies a C string; `None` for a null pointer or an empty text.
fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the callers pass strings of the engine that end in NUL and live through this call.
    let text = unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
