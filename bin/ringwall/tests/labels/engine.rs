//! A Docker engine of the test's own, in the namespace of its network: own data, own
//! socket, own bridge in documentation ranges. Everything that was started is ended
//! with it, by process id, also when the test fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Folder, Running, signal, wait_for};

/// The image: busybox and nothing else.
pub const IMAGE: &str = "web";

/// The engine; dropped, its containers, itself and what it mounted go.
pub struct Engine {
    daemon: Option<Running>,
    namespace: String,
    folder: PathBuf,
}

impl Engine {
    /// Starts it and waits until it answers.
    pub fn start(folder: &Folder, namespace: &str) -> Self {
        folder.file("daemon.json", "{}");
        let mut engine = Self {
            daemon: None,
            namespace: namespace.to_owned(),
            folder: folder.0.clone(),
        };
        engine.raise();
        engine.import();
        engine
    }

    /// Where it answers.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("d.sock")
    }

    /// Starts the daemon, the first time or again.
    pub fn raise(&mut self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("dockerd.log"))
            .expect("a log can be made");
        // Not 'ip netns exec', which hides the cgroup mounts.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("dockerd")
            .args(["--config-file", &at("daemon.json")])
            .args(["--data-root", &at("data"), "--exec-root", &at("x")])
            .args(["--pidfile", &at("d.pid"), "-H"])
            .arg(format!("unix://{}", at("d.sock")))
            .args(["--bip", "203.0.113.1/26", "--default-address-pool"])
            .arg("base=203.0.113.64/26,size=28")
            .args(["--storage-driver", "vfs", "--userland-proxy=false"])
            // Containers outlive the daemon, so that what stays can be seen.
            .arg("--live-restore")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.daemon = Some(Running::start(&mut command));
        wait_for("dockerd", Duration::from_secs(60), || {
            let up = self.docker(&["version"]).status.success();
            if !up && let Some(daemon) = &mut self.daemon {
                let ended = daemon.0.try_wait().expect("it can be asked for");
                let log = std::fs::read_to_string(self.folder.join("dockerd.log"));
                assert!(
                    ended.is_none(),
                    "dockerd ended: {}",
                    log.unwrap_or_default()
                );
            }
            up.then_some(())
        });
    }

    /// Kills the daemon, as a crash would; its containers live on.
    pub fn crash(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.0.kill().expect("it is ours to kill");
            daemon.0.wait().expect("it ends");
            // Its containerd dies with it, and may stay a zombie whose number a new
            // daemon takes for one that lives.
            for name in ["containerd.pid", "containerd.sock", "containerd.sock.ttrpc"] {
                let _gone = std::fs::remove_file(self.folder.join("x/containerd").join(name));
            }
        }
    }

    fn import(&self) {
        let root = self.folder.join("root");
        std::fs::create_dir_all(root.join("bin")).expect("a folder can be made");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("busybox is there");
        std::fs::copy(busybox, root.join("bin/busybox")).expect("it can be copied");
        let tar = self.folder.join("root.tar");
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status()
            .expect("tar runs");
        assert!(packed.success());
        let path = tar.display().to_string();
        self.run(&["import", "--change", "EXPOSE 80", &path, IMAGE]);
    }

    /// The docker command.
    pub fn docker(&self, words: &[&str]) -> Output {
        Command::new("docker")
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", &self.folder)
            .args(words)
            .output()
            .expect("docker runs")
    }

    /// The same, which must go well.
    pub fn run(&self, words: &[&str]) {
        let output = self.docker(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {words:?}: {said}");
    }

    /// Starts a web server that answers with its own name, and under `/cgi-bin/slow`
    /// with a line every fifth of a second, for as long as somebody reads.
    pub fn serve(&self, name: &str, project: &str, labels: &[&str]) {
        self.serve_in("bridge", name, project, labels);
    }

    /// The same in a network.
    pub fn serve_in(&self, network: &str, name: &str, project: &str, labels: &[&str]) {
        const SERVE: &str = "b=/bin/busybox; $b mkdir -p /www/cgi-bin; $b hostname > /www/index.html; \
            printf '#!/bin/busybox sh\\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n\"\\nn=0\\n\
            while [ $n -lt 9000 ]; do echo tick; /bin/busybox sleep 0.2; n=$((n+1)); done\\n' > /www/cgi-bin/slow; \
            $b chmod 755 /www/cgi-bin/slow; exec $b httpd -f -p 80 -h /www";
        let project = format!("com.docker.compose.project={project}");
        let mut words = vec!["run", "-d", "--name", name, "--hostname", name];
        words.extend(["--network", network]);
        if !project.ends_with('=') {
            words.extend(["--label", &project]);
        }
        for label in labels {
            words.extend(["--label", label]);
        }
        words.extend([IMAGE, "/bin/busybox", "sh", "-c", SERVE]);
        self.run(&words);
    }

    /// Every process in the namespace, ringwall's not among them any more.
    fn left(&self) -> Vec<u32> {
        let output = Command::new("ip")
            .args(["netns", "pids", &self.namespace])
            .output()
            .expect("ip runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn containers(&self) -> Vec<u32> {
        let ids = self.docker(&["ps", "-q"]);
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        let mut words = vec!["inspect", "--format", "{{.State.Pid}}"];
        words.extend(ids.lines());
        let pids = self.docker(&words);
        let text = String::from_utf8_lossy(&pids.stdout).into_owned();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.daemon.is_none() && !std::thread::panicking() {
            self.raise();
        }
        let inside = self.containers();
        let ids = self.docker(&["ps", "-aq"]);
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        let mut words = vec!["rm", "-f"];
        words.extend(ids.lines());
        if words.len() > 2 {
            let _removed = self.docker(&words);
        }
        self.daemon = None; // asked to end, and waited for
        // What is left is containerd and, where something went wrong, its shims and the
        // containers: all of this namespace, or named by this engine.
        for id in self.left().into_iter().chain(inside) {
            signal(id, "KILL");
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.folder.display().to_string();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&folder) {
                let _unmounted = Command::new("umount").args(["-l", mount]).status();
            }
        }
    }
}
