//! Files that people name, read whole and never more than so much of them.
//!
//! **Refuses:** what is no regular file, without opening it: a pipe would keep whoever
//! opens it waiting, and a device has no end; and a file that has more bytes than
//! allowed, also one that grows while it is read. **Assumes:** callers may wait for the
//! disk. **On failure:** an [`io::Error`] that says why; a file that is too large is an
//! [`io::ErrorKind::FileTooLarge`].

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// All bytes of a file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    regular(&fs::metadata(path)?, most)?;
    read_open(File::open(path)?, most)
}

/// The same of a file that somebody opened; from where it is read next.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger.
pub fn read_open(file: File, most: u64) -> io::Result<Vec<u8>> {
    let size = regular(&file.metadata()?, most)?;
    // A hint: what says its size is nothing, as in /proc, is read all the same.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(&format!("more than {most}"), most));
    }
    Ok(bytes)
}

fn regular(found: &Metadata, most: u64) -> io::Result<u64> {
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let size = found.len();
    if size > most {
        return Err(too_large(&size.to_string(), most));
    }
    Ok(size)
}

fn too_large(size: &str, most: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it has {size} bytes, {most} are allowed"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for size in [0, 1, 4_096, 10_000] {
            let bytes = vec![b'x'; size];
            fs::write(&path, &bytes).unwrap();
            let most = size as u64;
            assert_eq!(read(&path, most).unwrap(), bytes);
            assert_eq!(read(&path, u64::MAX).unwrap(), bytes);
            if let Some(less) = most.checked_sub(1) {
                let error = read(&path, less).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::FileTooLarge);
                let said = format!("it has {size} bytes, {less} are allowed");
                assert_eq!(error.to_string(), said);
            }
        }
    }

    #[test]
    fn a_file_that_does_not_tell_its_size_is_bounded_too() {
        let path = Path::new("/proc/self/status");
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
        assert!(read(path, 1 << 20).unwrap().starts_with(b"Name:"));
        let error = read(path, 10).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it has more than 10 bytes, 10 are allowed"
        );
    }

    #[test]
    fn nobody_waits_for_a_pipe_and_nobody_reads_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            let error = read(path, 10).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{path:?}");
        }
        let device = read_open(File::open("/dev/zero").unwrap(), 10).unwrap_err();
        assert_eq!(device.to_string(), "it is not a regular file");
        let missing = read(&folder.path().join("none"), 10).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
