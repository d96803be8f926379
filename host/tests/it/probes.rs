//! Processes that give root up, and what they can no longer do.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use host::verb::Why;
use host::{
    Access, Account, Exec, Fence, FileRule, Filter, HostError, ListenerRule, Plan, Reach, Start,
    TcpBind,
};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Test;
use crate::fixture::{
    free_address, launch, needs_root, policy_of, probe, run_probe, soon, status_line, unavailable,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "root_is_given_up_for_good_and_the_helper_serves",
        confined_for_real,
    ),
    (
        "landlock_keeps_even_root_to_its_paths_and_ports",
        fenced_for_real,
    ),
    (
        "seccomp_refuses_even_root_what_is_on_the_list",
        filtered_for_real,
    ),
    (
        "a_process_with_threads_is_not_confined_by_halves",
        threaded_for_real,
    ),
    (
        "without_root_it_says_what_is_off_and_binds_high_ports",
        ordinary_for_real,
    ),
    (
        "the_main_process_survives_the_helpers_death",
        helper_killed_for_real,
    ),
    ("the_helper_dies_with_its_parent", parent_killed_for_real),
    (
        "the_helper_is_no_more_than_it_must_be",
        helper_reduced_for_real,
    ),
];

/// A probe's `main`.
pub(crate) fn run(name: &str, dir: &Path) {
    match name {
        "confined" => confined(dir),
        "fenced" => fenced(dir),
        "filtered" => filtered(),
        "threaded" => threaded(),
        "ordinary" => ordinary(dir),
        "helper-killed" => helper_killed(dir),
        "parent-killed" => parent_killed(dir),
        "helper-reduced" => helper_reduced(dir),
        other => panic!("no probe {other}"),
    }
    println!("probe done");
}

fn nobody() -> Account {
    Account::named("nobody").unwrap()
}

fn started(dir: &Path) -> Access {
    match host::start(&launch(dir)).unwrap() {
        Start::Privileged(access) => access,
        Start::Ordinary(access) => panic!("not root: {access:?}"),
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, HostError>) -> Why {
    match outcome {
        Err(HostError::Refused { refusal, .. }) => refusal.why,
        other => panic!("not refused: {other:?}"),
    }
}

fn confined_for_real() {
    if !needs_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Reachable by nobody, as /etc and /var/lib are.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["config", "secret", "key.pem"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let key = dir.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let address = free_address();
    let policy = format!("listen {address} 2\nfile {}\n", key.display());
    fs::write(policy_of(dir.path()), policy).unwrap();
    fs::write(dir.path().join("address"), address.to_string()).unwrap();
    run_probe("confined", dir.path(), None);
}

fn confined(dir: &Path) {
    let access = started(dir);
    let (state, account) = (dir.join("state"), nobody());
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(state.join("of-root"), "").unwrap();
    host::own_directory(&state, &account).unwrap();
    let address: std::net::SocketAddr = fs::read_to_string(dir.join("address"))
        .unwrap()
        .parse()
        .unwrap();
    let reached = host::confine(&Plan {
        account: Some(account.clone()),
        reach: Reach {
            read: vec![dir.join("config"), dir.join("missing")],
            write: vec![state.clone()],
            bind: TcpBind::Only(Vec::new()),
        },
        exec: Exec::Deny,
    })
    .unwrap();
    assert_eq!(reached.dropped, Some(account));
    assert!(reached.no_new_privileges);
    println!("{}", reached.lines().join("\n"));

    // DENY: root is gone.
    assert_eq!(nix::unistd::setuid(0.into()), Err(Errno::EPERM));
    assert_eq!(nix::unistd::setgid(0.into()), Err(Errno::EPERM));
    assert_eq!(nix::unistd::setgroups(&[0.into()]), Err(Errno::EPERM));
    fs::read("/etc/shadow").unwrap_err();
    fs::read(dir.join("key.pem")).unwrap_err();
    fs::write(dir.join("new"), "").unwrap_err();
    // ALLOW: its own state, its configuration.
    fs::write(state.join("of-root"), "taken over").unwrap();
    fs::write(state.join("new"), "").unwrap();
    fs::rename(state.join("new"), state.join("newer")).unwrap();
    assert_eq!(fs::read_to_string(dir.join("config")).unwrap(), "config");
    std::thread::spawn(|| ()).join().unwrap();
    if let Fence::Standing { ports, .. } = &reached.landlock {
        fs::read(dir.join("secret")).unwrap_err();
        if *ports {
            TcpListener::bind("127.0.0.1:0").unwrap_err();
        }
        assert!(
            reached.notes.iter().any(|note| note.contains("missing")),
            "{reached:?}"
        );
    } else {
        unavailable("the kernel has no landlock, and the level says so");
    }
    assert!(
        matches!(reached.seccomp, Filter::InForce { .. }),
        "{reached:?}"
    );
    let outcome = Command::new("/bin/true").status();
    assert_eq!(
        outcome.unwrap_err().raw_os_error(),
        Some(Errno::EPERM as i32)
    );

    // The helper gives what is configured, and nothing else.
    let rule = ListenerRule::new(address, 2);
    let listeners = [
        access.bind(&rule, 0).unwrap(),
        access.bind(&rule, 1).unwrap(),
    ];
    assert_eq!(listeners[0].local_addr().unwrap(), address);
    TcpStream::connect(address).unwrap();
    assert_eq!(refusal(access.bind(&rule, 2)), Why::Share);
    let elsewhere = ListenerRule::new("127.0.0.1:1".parse().unwrap(), 1);
    assert_eq!(refusal(access.bind(&elsewhere, 0)), Why::NotConfigured);
    let mut text = String::new();
    let mut key = access.open(&FileRule::new(dir.join("key.pem"))).unwrap();
    key.read_to_string(&mut text).unwrap();
    assert_eq!(text, "key.pem");
    key.write_all(b"x").unwrap_err();
    for path in ["/etc/shadow", "/etc/passwd", "relative", ""] {
        assert_eq!(
            refusal(access.open(&FileRule::new(path))),
            Why::NotConfigured,
            "{path}"
        );
    }
}

fn fenced_for_real() {
    if !needs_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("inside")).unwrap();
    fs::write(dir.path().join("outside"), "").unwrap();
    run_probe("fenced", dir.path(), None);
}

fn fenced(dir: &Path) {
    let port = free_address().port();
    fs::read(dir.join("outside")).unwrap(); // so that the refusal below is the fence's
    let (fence, _) = host_sys::fence::put_up(&Reach {
        read: vec![],
        write: vec![dir.join("inside")],
        bind: TcpBind::Only(vec![port]),
    });
    let Fence::Standing { ports, .. } = fence else {
        return unavailable(&fence.to_string());
    };
    fs::read(dir.join("outside")).unwrap_err();
    fs::write(dir.join("beside"), "").unwrap_err();
    fs::read_dir("/root").unwrap_err();
    fs::write(dir.join("inside/file"), "x").unwrap();
    fs::remove_file(dir.join("inside/file")).unwrap();
    if ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
        TcpListener::bind("127.0.0.1:0").unwrap_err();
    }
}

fn filtered_for_real() {
    if needs_root() {
        let dir = tempfile::tempdir().unwrap();
        run_probe("filtered", dir.path(), None);
    }
}

fn filtered() {
    // It works without the filter, so that the refusals below are the filter's.
    unshare(CloneFlags::CLONE_NEWUTS).unwrap();
    let filter = host_sys::filter::install(Exec::Deny);
    assert!(
        matches!(filter, Filter::InForce { refused } if refused > 50),
        "{filter}"
    );
    for flag in [
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWUSER,
        CloneFlags::CLONE_NEWNET,
    ] {
        assert_eq!(unshare(flag), Err(Errno::EPERM), "{flag:?}");
    }
    let mounted = nix::mount::mount(
        Some("tmpfs"),
        "/tmp",
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    );
    assert_eq!(mounted, Err(Errno::EPERM));
    assert_eq!(nix::sys::ptrace::traceme(), Err(Errno::EPERM));
    let parent = nix::unistd::getppid();
    assert_eq!(nix::sys::ptrace::attach(parent), Err(Errno::EPERM));
    let exotic = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Packet,
        nix::sys::socket::SockType::Raw,
        nix::sys::socket::SockFlag::empty(),
        None,
    );
    assert_eq!(exotic.unwrap_err(), Errno::EPERM);
    Command::new("/bin/true").status().unwrap_err();
    // Ordinary work goes on: threads, files, sockets, name resolution's netlink.
    std::thread::spawn(|| ()).join().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _ = std::net::ToSocketAddrs::to_socket_addrs("localhost:80").unwrap();
}

fn threaded_for_real() {
    if needs_root() {
        let dir = tempfile::tempdir().unwrap();
        run_probe("threaded", dir.path(), None);
    }
}

fn threaded() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let plan = Plan {
        account: Some(nobody()),
        reach: Reach::default(),
        exec: Exec::Allow,
    };
    let error = host::confine(&plan).unwrap_err();
    assert!(
        matches!(error, host_sys::Error::ThreadsExist { threads: 2 }),
        "{error}"
    );
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "nothing was done by halves"
    );
    let (fence, _) = host_sys::fence::put_up(&Reach::default());
    assert!(matches!(fence, Fence::Absent { .. }));
    drop(sender);
    drop(thread.join());
}

fn ordinary_for_real() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("readable"), "yes").unwrap();
    let root = nix::unistd::Uid::effective().is_root();
    run_probe("ordinary", dir.path(), root.then(|| nobody().uid));
}

fn ordinary(dir: &Path) {
    let Start::Ordinary(access) = host::start(&launch(dir)).unwrap() else {
        panic!("root after all");
    };
    let (well, sentence) = access.state();
    assert!(well && sentence.contains("ordinary user"), "{sentence}");
    access.reload().unwrap();
    access.open(&FileRule::new(dir.join("readable"))).unwrap();
    access.open(&FileRule::new("/etc/shadow")).unwrap_err();
    let address = free_address();
    let rule = ListenerRule::new(address, 2);
    let held = [
        access.bind(&rule, 0).unwrap(),
        access.bind(&rule, 1).unwrap(),
    ];
    assert_eq!(held[1].local_addr().unwrap(), address);
    let taken = access
        .bind(&ListenerRule::new(address, 1), 0)
        .unwrap_err()
        .to_string();
    assert!(taken.contains("another program holds it"), "{taken}");
    let foreign = ListenerRule::new("192.0.2.1:8080".parse().unwrap(), 1);
    let absent = access.bind(&foreign, 0).unwrap_err().to_string();
    assert!(absent.contains("does not have that address"), "{absent}");
    let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if lowest.trim() == "1024" {
        let low = ListenerRule::new("127.0.0.1:443".parse().unwrap(), 1);
        let told = access.bind(&low, 0).unwrap_err().to_string();
        assert!(told.contains("Start Ringwall as root"), "{told}");
    }
    let reached = host::confine(&Plan {
        account: None,
        reach: Reach {
            read: vec![dir.to_owned()],
            ..Reach::default()
        },
        exec: Exec::Deny,
    })
    .unwrap();
    assert!(reached.dropped.is_none() && reached.no_new_privileges);
    assert!(
        reached.lines()[0].contains("never held root"),
        "{reached:?}"
    );
}

fn helper_killed_for_real() {
    if !needs_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let policy = format!("listen {} 1\n", free_address());
    fs::write(policy_of(dir.path()), policy).unwrap();
    run_probe("helper-killed", dir.path(), None);
}

fn helper_killed(dir: &Path) {
    let access = started(dir);
    let Access::Helper(client) = &access else {
        panic!("no helper");
    };
    let host::HelperState::Serving { pid } = client.state() else {
        panic!("not serving");
    };
    let policy = fs::read_to_string(policy_of(dir)).unwrap();
    let address = policy.split_whitespace().nth(1).unwrap().parse().unwrap();
    let rule = ListenerRule::new(address, 1);
    let listener = access.bind(&rule, 0).unwrap();
    listener.set_nonblocking(false).unwrap();

    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    let error = access.bind(&rule, 0).unwrap_err();
    assert!(matches!(error, HostError::Gone { .. }), "{error}");
    assert!(
        error.to_string().contains("What is open stays open"),
        "{error}"
    );
    let again = access.reload().unwrap_err();
    assert!(matches!(again, HostError::Gone { .. }), "{again}");
    soon("the state tells how it ended", || {
        access.state().1.contains("signal: 9")
    });
    assert!(!access.state().0);

    let client = std::thread::spawn(move || TcpStream::connect(address).unwrap());
    listener.accept().unwrap();
    client.join().unwrap();
}

fn parent_killed_for_real() {
    if !needs_root() {
        return;
    }
    for confine in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(policy_of(dir.path()), "").unwrap();
        if confine {
            fs::write(dir.path().join("confine"), "").unwrap();
        }
        let mut parent = probe("parent-killed", dir.path())
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = parent.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        assert!(status_line(pid, "Name").is_some(), "the helper runs");
        parent.kill().unwrap();
        parent.wait().unwrap();
        soon("the helper is gone", || {
            status_line(pid, "State").is_none_or(|state| state.starts_with('Z'))
        });
    }
}

fn parent_killed(dir: &Path) {
    let access = started(dir);
    let Access::Helper(client) = &access else {
        panic!("no helper");
    };
    if dir.join("confine").exists() {
        let plan = Plan {
            account: Some(nobody()),
            reach: Reach::default(),
            exec: Exec::Deny,
        };
        host::confine(&plan).unwrap();
    }
    if let host::HelperState::Serving { pid } = client.state() {
        println!("{pid}");
    }
    // Until it is killed; bounded, should nobody do so.
    std::thread::sleep(std::time::Duration::from_secs(30));
}

fn helper_reduced_for_real() {
    if !needs_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(policy_of(dir.path()), "").unwrap();
    run_probe("helper-reduced", dir.path(), None);
}

fn helper_reduced(dir: &Path) {
    let access = started(dir);
    let Access::Helper(client) = &access else {
        panic!("no helper");
    };
    client.ping().unwrap();
    let host::HelperState::Serving { pid } = client.state() else {
        panic!("not serving");
    };
    // CAP_DAC_READ_SEARCH is bit 2, CAP_NET_BIND_SERVICE bit 10.
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status_line(pid, set).unwrap(), "0000000000000404", "{set}");
    }
    assert_eq!(status_line(pid, "NoNewPrivs").unwrap(), "1");
    assert_eq!(status_line(pid, "Seccomp").unwrap(), "2");
    assert_eq!(status_line(pid, "Threads").unwrap(), "1");
    // Its end of the channel, /dev/null, standard output and error, no more.
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    assert!(open <= 4, "{open} descriptors");
    drop(access);
    soon("a goodbye ends it", || status_line(pid, "State").is_none());
}
