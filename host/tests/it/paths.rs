//! Paths that somebody else has a hand in.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use host_sys::file::{open_regular, own_directory};
use host_sys::{Account, Error};

use crate::Test;
use crate::fixture::needs_root;

pub(crate) const TESTS: &[Test] = &[
    ("only_regular_files_by_absolute_paths_are_opened", kinds),
    ("links_count_only_where_root_alone_can_make_them", links),
    (
        "a_state_directory_becomes_its_owners_and_nobody_elses",
        ownership,
    ),
];

const NOBODY: u32 = 65_534;

/// A directory in which, up to the root, root alone can write.
fn trusted() -> tempfile::TempDir {
    tempfile::tempdir_in("/run").unwrap()
}

fn content(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    open_regular(path)?.read_to_string(&mut text).unwrap();
    Ok(text)
}

fn kinds() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("plain"), "plain").unwrap();
    fs::create_dir(at("sub")).unwrap();
    assert_eq!(content(&at("plain")).unwrap(), "plain");
    assert_eq!(content(&at("sub/../plain")).unwrap(), "plain");
    assert_eq!(content(&at("./sub/.././plain")).unwrap(), "plain");

    let status = std::process::Command::new("mkfifo")
        .arg(at("pipe"))
        .status();
    assert!(status.unwrap().success());
    let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for name in ["pipe", "sub", "socket", "sub/..", "plain/below"] {
        let error = content(&at(name)).unwrap_err();
        assert!(matches!(error, Error::WrongKind { .. }), "{name}: {error}");
    }
    drop(socket);
    for path in ["/dev/zero", "/", "/proc"] {
        let error = content(path.as_ref()).unwrap_err();
        assert!(matches!(error, Error::WrongKind { .. }), "{path}: {error}");
    }
    for path in ["plain", "", "../etc/passwd", "./x"] {
        let error = content(path.as_ref()).unwrap_err();
        assert!(matches!(error, Error::Relative { .. }), "{path}: {error}");
    }
    let error = content(&at("absent")).unwrap_err();
    assert_eq!(error.errno(), Some(nix::errno::Errno::ENOENT as i32));
}

fn links() {
    if !needs_root() {
        return;
    }
    let (ours, theirs) = (trusted(), tempfile::tempdir().unwrap());
    let ours = ours.path();
    let theirs = theirs.path();
    chown(theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::write(ours.join("real"), "real").unwrap();
    fs::create_dir(ours.join("live")).unwrap();

    // ALLOW: as certificate tools lay them, relative, absolute, chained.
    symlink("../real", ours.join("live/relative")).unwrap();
    symlink(ours.join("live/relative"), ours.join("absolute")).unwrap();
    symlink("live", ours.join("directory")).unwrap();
    for name in [
        "live/relative",
        "absolute",
        "directory/relative",
        "directory/../real",
    ] {
        assert_eq!(content(&ours.join(name)).unwrap(), "real", "{name}");
    }
    // DENY: a link in a directory that the peer can write, wherever it leads.
    symlink("/etc/shadow", theirs.join("log")).unwrap();
    symlink(ours.join("real"), theirs.join("harmless")).unwrap();
    symlink("/etc", theirs.join("directory")).unwrap();
    symlink(theirs.join("log"), ours.join("into-theirs")).unwrap();
    fs::hard_link(ours.join("real"), ours.join("second-name")).unwrap();
    let untrusted = [
        theirs.join("log"),
        theirs.join("harmless"),
        theirs.join("directory/shadow"),
        ours.join("into-theirs"),
    ];
    for path in untrusted {
        let error = content(&path).unwrap_err();
        assert!(
            matches!(error, Error::UntrustedLink { .. }),
            "{}: {error}",
            path.display()
        );
    }
    // A second name is a link too, where the peer could have made it.
    assert_eq!(content(&ours.join("second-name")).unwrap(), "real");
    fs::write(theirs.join("one"), "").unwrap();
    fs::hard_link(theirs.join("one"), theirs.join("other")).unwrap();
    let error = content(&theirs.join("other")).unwrap_err();
    assert!(matches!(error, Error::UntrustedLink { .. }), "{error}");
    // A file swapped for a link between two requests.
    fs::write(theirs.join("swapped"), "mine").unwrap();
    assert_eq!(content(&theirs.join("swapped")).unwrap(), "mine");
    fs::remove_file(theirs.join("swapped")).unwrap();
    symlink("/etc/shadow", theirs.join("swapped")).unwrap();
    content(&theirs.join("swapped")).unwrap_err();
    // Writable by a group is not root's alone either.
    fs::set_permissions(ours.join("live"), Permissions::from_mode(0o775)).unwrap();
    content(&ours.join("live/relative")).unwrap_err();
    // In circles.
    symlink("b", ours.join("a")).unwrap();
    symlink("a", ours.join("b")).unwrap();
    let error = content(&ours.join("a")).unwrap_err();
    assert_eq!(error.errno(), Some(nix::errno::Errno::ELOOP as i32));
}

fn ownership() {
    use std::os::unix::fs::MetadataExt as _;
    if !needs_root() {
        return;
    }
    let dir = trusted();
    let nobody = Account::named("nobody").unwrap();
    let state = dir.path().join("deep/state");
    own_directory(&state, &nobody).unwrap();
    fs::write(state.join("state.db"), "").unwrap();
    fs::write(dir.path().join("foreign"), "").unwrap();
    symlink(dir.path().join("foreign"), state.join("link")).unwrap();
    fs::hard_link(dir.path().join("foreign"), state.join("second-name")).unwrap();
    own_directory(&state, &nobody).unwrap();
    let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
    assert_eq!(owner(&state), NOBODY);
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    assert_eq!(owner(&state.join("state.db")), NOBODY);
    assert_eq!(
        owner(&dir.path().join("foreign")),
        0,
        "a link gave a file away"
    );

    // DENY: a link in its place, a file, somebody else's directory.
    symlink("/etc", dir.path().join("link")).unwrap();
    own_directory(&dir.path().join("link"), &nobody).unwrap_err();
    own_directory(&dir.path().join("foreign"), &nobody).unwrap_err();
    let third = dir.path().join("third");
    fs::create_dir(&third).unwrap();
    chown(&third, Some(12_345), None).unwrap();
    own_directory(&third, &nobody).unwrap_err();
    // DENY: the system's own, as the parent of /run/ringwall.sock would be.
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
    fs::write(run.join("another.pid"), "").unwrap();
    for shared in [
        run.as_path(),
        "/etc".as_ref(),
        "/run".as_ref(),
        "/tmp".as_ref(),
    ] {
        let error = own_directory(shared, &nobody).unwrap_err();
        assert!(
            matches!(error, Error::Shared { .. }),
            "{}: {error}",
            shared.display()
        );
        assert_eq!(fs::metadata(shared).unwrap().uid(), 0);
    }
    // ALLOW: an empty one that an administrator made, with whatever mode.
    fs::remove_file(run.join("another.pid")).unwrap();
    own_directory(&run, &nobody).unwrap();
}
