//! The Windows calls that have no safe wrapper: which services run in which process, and where the system folder is.
//!
//! Source: Microsoft, EnumServicesStatusExW, GetSystemDirectoryW.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::{io, ptr, slice};

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW, SC_ENUM_PROCESS_INFO,
    SC_HANDLE, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_ACTIVE, SERVICE_WIN32,
};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;

use crate::model::Pid;

/// The most that one call fills, in words of eight bytes: 256 KiB.
const WORDS: usize = 32 * 1024;

/// An open service control manager.
struct Manager(SC_HANDLE);

impl Manager {
    #[expect(unsafe_code, reason = "OpenSCManagerW has no safe wrapper")]
    fn open() -> io::Result<Manager> {
        // SAFETY: null names mean this machine and its active database.
        let handle = unsafe { OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_ENUMERATE_SERVICE) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Manager(handle)) }
    }

    /// Fills the buffer from where `resume` stands; returns how many entries it holds then, and whether these are the last.
    #[expect(unsafe_code, reason = "EnumServicesStatusExW has no safe wrapper")]
    fn fill(&self, buffer: &mut [u64], resume: &mut u32) -> io::Result<(usize, bool)> {
        let (mut needed, mut returned) = (0, 0);
        let bytes = u32::try_from(size_of_val(buffer)).unwrap_or(0);
        // SAFETY: the handle is open; the buffer is writable for `bytes` bytes and aligned for pointers.
        let is_done = unsafe {
            EnumServicesStatusExW(
                self.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32,
                SERVICE_ACTIVE,
                buffer.as_mut_ptr().cast(),
                bytes,
                &raw mut needed,
                &raw mut returned,
                resume,
                ptr::null(),
            )
        } != 0;
        let error = io::Error::last_os_error();
        let has_more = !is_done && error.raw_os_error() == Some(ERROR_MORE_DATA.cast_signed()) && returned > 0;
        if is_done || has_more { Ok((returned as usize, is_done)) } else { Err(error) }
    }
}

impl Drop for Manager {
    #[expect(unsafe_code, reason = "CloseServiceHandle has no safe wrapper")]
    fn drop(&mut self) {
        // SAFETY: the handle is open and used by nobody else.
        unsafe { CloseServiceHandle(self.0) };
    }
}

/// Returns the names of the services that run at this moment, by the process that they run in.
#[expect(unsafe_code, reason = "the entries point into the buffer that they lie in")]
pub fn running() -> io::Result<BTreeMap<Pid, Vec<String>>> {
    let manager = Manager::open()?;
    let mut buffer = vec![0_u64; WORDS];
    let mut services: BTreeMap<Pid, Vec<String>> = BTreeMap::new();
    let mut resume = 0;
    loop {
        let (count, is_last) = manager.fill(&mut buffer, &mut resume)?;
        // SAFETY: the buffer begins with so many entries, and stays as it is while they are read.
        let entries = unsafe { slice::from_raw_parts(buffer.as_ptr().cast::<ENUM_SERVICE_STATUS_PROCESSW>(), count) };
        for entry in entries.iter().filter(|entry| entry.ServiceStatusProcess.dwProcessId != 0) {
            // SAFETY: the name lies in the buffer and ends with a zero.
            let name = unsafe { text(entry.lpServiceName) };
            services.entry(Pid(entry.ServiceStatusProcess.dwProcessId)).or_default().push(name);
        }
        if is_last {
            break;
        }
    }
    services.values_mut().for_each(|names| names.sort_unstable());
    Ok(services)
}

/// Reads a text that ends with a zero.
///
/// # Safety
/// The pointer leads to such a text.
#[expect(unsafe_code, reason = "a pointer of the system is followed")]
unsafe fn text(start: *const u16) -> String {
    let mut length = 0;
    // SAFETY: every unit up to the zero may be read, as the caller says.
    while unsafe { *start.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: the same.
    String::from_utf16_lossy(unsafe { slice::from_raw_parts(start, length) })
}

/// Returns the folder of the system's own programs. The environment is not used, because another user may have set it.
#[expect(unsafe_code, reason = "GetSystemDirectoryW has no safe wrapper")]
pub fn system_folder() -> io::Result<PathBuf> {
    let mut buffer = [0_u16; 1024];
    let size = u32::try_from(buffer.len()).unwrap_or(0);
    // SAFETY: the buffer is writable for so many units.
    let length = unsafe { GetSystemDirectoryW(buffer.as_mut_ptr(), size) } as usize;
    match buffer.get(..length) {
        Some(path) if length > 0 => Ok(OsString::from_wide(path).into()),
        _ => Err(io::Error::last_os_error()),
    }
}
