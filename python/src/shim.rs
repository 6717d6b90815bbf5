//! The border to the preload library: its definitions, and how it is found, attached and told.
//!
//! Model: the library is preloaded, or it is loaded into the running process and attached to what is there. Either way
//! it calls [`Callback`] before and after each I/O call of a thread that is under control.
//!
//! Not here: what an event means (outside), what happens in a call of it (io).

use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

/// The version of the library's interface that these definitions repeat.
const ABI: u32 = 4;

/// Answer of a callback: the event has been seen.
pub const DONE: u32 = 0;
/// Answer of a callback: it waited, and asks to be told what the call touches now.
pub const AGAIN: u32 = 1;

/// Answer of a callback: the call must not wait, its time has run out.
pub const AT_ONCE: u32 = 2;

/// Answer of a callback: the call finds nothing to read yet.
pub const TOO_EARLY: u32 = 3;

/// Answer of a callback, with a number in the other bits: no more bytes than that are to be sent now.
pub const AT_MOST: u32 = 1 << 31;
/// Answer of a callback, with a port of this machine in the other bits: connect there instead.
pub const ELSEWHERE: u32 = 1 << 30;

/// Phase of an event: the call has not been made.
pub const BEFORE: u8 = 0;

/// Bit of [`IoEvent::access`]: the resource is changed.
pub const WRITES: u8 = 2;

/// What the library calls.
pub type Callback = unsafe extern "C" fn(event: *const IoEvent) -> u32;

/// What is done, by the library's numbers.
pub mod kind {
    pub const OPEN: u16 = 1;
    pub const CLOSE: u16 = 2;
    pub const READ: u16 = 3;
    pub const WRITE: u16 = 4;
    pub const SEEK: u16 = 5;
    pub const TRUNCATE: u16 = 6;
    pub const LOCK: u16 = 8;
    pub const MAP: u16 = 9;
    pub const CONNECT: u16 = 12;
    pub const ACCEPT: u16 = 13;
    pub const BIND: u16 = 14;
    pub const LISTEN: u16 = 15;
    pub const SHUTDOWN: u16 = 16;
    pub const PAIR: u16 = 17;
    pub const WAIT: u16 = 18;
    pub const STAT: u16 = 19;
    pub const RENAME: u16 = 20;
    pub const UNLINK: u16 = 21;
    pub const LINK: u16 = 22;
    pub const MAKE_DIRECTORY: u16 = 23;
    pub const REMOVE_DIRECTORY: u16 = 24;
    pub const READ_DIRECTORY: u16 = 25;
    pub const CHANGE: u16 = 26;
}

/// One I/O call, as the library lays it out.
#[repr(C)]
pub struct IoEvent {
    pub size: u32,
    pub kind: u16,
    pub phase: u8,
    pub access: u8,
    pub fd: i32,
    pub error: i32,
    pub generation: u64,
    resource: *const u8,
    resource_length: usize,
    other: *const u8,
    other_length: usize,
    pub offset: i64,
    pub length: u64,
    pub result: i64,
    pub device: u64,
    pub inode: u64,
    function: *const c_char,
    pub arguments: [u64; 8],
    path: *const u8,
    path_length: usize,
    other_path: *const u8,
    other_path_length: usize,
}

/// The texts of an event that another process was told of.
pub struct Texts<'a> {
    pub resource: &'a [u8],
    pub other: &'a [u8],
    pub path: &'a [u8],
    pub other_path: &'a [u8],
    pub function: &'a CStr,
}

impl IoEvent {
    /// An event of another process, without anything but its texts. They have to outlive it.
    pub fn with_texts(texts: &Texts<'_>) -> IoEvent {
        IoEvent {
            size: size_of::<IoEvent>() as u32,
            kind: 0,
            phase: BEFORE,
            access: 0,
            fd: -1,
            error: 0,
            generation: 0,
            resource: texts.resource.as_ptr(),
            resource_length: texts.resource.len(),
            other: texts.other.as_ptr(),
            other_length: texts.other.len(),
            offset: -1,
            length: 0,
            result: 0,
            device: 0,
            inode: 0,
            function: texts.function.as_ptr(),
            arguments: [0; 8],
            path: texts.path.as_ptr(),
            path_length: texts.path.len(),
            other_path: texts.other_path.as_ptr(),
            other_path_length: texts.other_path.len(),
        }
    }

    /// The name of the second thing that is touched.
    pub fn other(&self) -> &[u8] {
        // SAFETY: names are never freed.
        unsafe { std::slice::from_raw_parts(self.other, self.other_length) }
    }

    /// The name of what is touched.
    pub fn resource(&self) -> &[u8] {
        // SAFETY: names are never freed.
        unsafe { std::slice::from_raw_parts(self.resource, self.resource_length) }
    }

    /// The absolute path of the file that is touched, links resolved; `None` for what is no file.
    pub fn file(&self) -> Option<&[u8]> {
        self.resource().strip_prefix(b"file:")
    }

    /// The absolute path of the second file that is touched.
    pub fn other_file(&self) -> Option<&[u8]> {
        self.other().strip_prefix(b"file:")
    }

    /// The path that was passed, as an absolute one.
    pub fn path(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.path, self.path_length) }
    }

    /// The second path that was passed.
    pub fn other_path(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.other_path, self.other_path_length) }
    }

    /// The descriptor that the call has the system copy to.
    pub fn copied_to(&self) -> c_int {
        self.arguments[if self.function().starts_with("sendfile") { 0 } else { 2 }] as c_int
    }

    /// The name of the libc function.
    pub fn function(&self) -> &str {
        // SAFETY: a static name.
        unsafe { CStr::from_ptr(self.function) }.to_str().unwrap_or_default()
    }
}

/// The library's functions.
struct Shim {
    register: unsafe extern "C" fn(Option<Callback>) -> u32,
    control: unsafe extern "C" fn(u32) -> u32,
    pipe: unsafe extern "C" fn(c_int),
    number_from: unsafe extern "C" fn(u64),
    /// For a library that was loaded late.
    attach: Option<unsafe extern "C" fn() -> u32>,
}

static SHIM: OnceLock<Shim> = OnceLock::new();

/// Finds the preloaded library, or loads it from `library` and attaches it. Later calls attach it to what has been
/// loaded since.
///
/// # Errors
/// When it cannot be loaded, or is of another version.
pub fn load(library: &Path) -> Result<(), String> {
    if SHIM.get().is_none() {
        let shim = find(libc::RTLD_DEFAULT, false).or_else(|_| find(open(library)?, true))?;
        let _ = SHIM.set(shim);
    }
    if let Some(attach) = SHIM.get().and_then(|shim| shim.attach) {
        // SAFETY: the library's function of that name.
        unsafe { attach() };
    }
    Ok(())
}

fn open(library: &Path) -> Result<*mut c_void, String> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: a terminated path; the library's constructor has no conditions.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    if handle.is_null() { Err(format!("{} cannot be loaded", library.display())) } else { Ok(handle) }
}

fn find(handle: *mut c_void, late: bool) -> Result<Shim, String> {
    let symbol = |name: &CStr| {
        // SAFETY: a terminated name and a handle.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        if found.is_null() {
            Err(format!("the I/O library has no {}", name.to_string_lossy()))
        } else {
            Ok(found)
        }
    };
    let (abi, register) = (symbol(c"frontrun_io_abi")?, symbol(c"frontrun_shim_register")?);
    let (control, attach) = (symbol(c"frontrun_shim_control")?, symbol(c"frontrun_shim_attach")?);
    let pipe = symbol(c"frontrun_shim_pipe")?;
    let number_from = symbol(c"frontrun_shim_number_from")?;
    // SAFETY: functions of these names have these signatures, which the version vouches for.
    unsafe {
        let abi: unsafe extern "C" fn() -> u32 = std::mem::transmute(abi);
        let version = abi();
        if version != ABI {
            return Err(format!("the I/O library is of version {version}, and {ABI} is needed"));
        }
        Ok(Shim {
            register: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Option<Callback>) -> u32>(
                register,
            ),
            control: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32) -> u32>(control),
            pipe: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int)>(pipe),
            number_from: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(u64)>(number_from),
            attach: late.then_some(std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> u32>(attach)),
        })
    }
}

/// Has the library call `callback`.
pub fn register(callback: Callback) {
    if let Some(shim) = SHIM.get() {
        // SAFETY: the library's function of that name; a callback lives for ever.
        unsafe { (shim.register)(Some(callback)) };
    }
}

/// Sets whether the calling thread's I/O is reported.
pub fn control(on: bool) {
    if let Some(shim) = SHIM.get() {
        // SAFETY: the library's function of that name.
        unsafe { (shim.control)(u32::from(on)) };
    }
}

/// Has the library write its events to the pipe `fd`, or to none for -1.
pub fn write_to(fd: c_int) {
    if let Some(shim) = SHIM.get() {
        // SAFETY: the library's function of that name.
        unsafe { (shim.pipe)(fd) };
    }
}

/// Has the library number the files that are opened from now on from `first` on.
pub fn number_from(first: u64) {
    if let Some(shim) = SHIM.get() {
        // SAFETY: the library's function of that name.
        unsafe { (shim.number_from)(first) };
    }
}
