//! Load by wrk: one thread on core 1, kept-alive connections, a browser's headers.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::contender::Contender;

/// What a browser sends; wrk adds Host. The same for everybody.
pub(super) const HEADERS: [&str; 5] = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.5",
    "Accept-Encoding: gzip, deflate",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
];
/// What it asks for.
pub(super) const TARGET: &str = "/catalogue/teapots?page=2";

/// How much load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: usize,
    pub(super) seconds: u64,
}

/// What wrk counted.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Counted {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Latencies in microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Answers other than 2xx and 3xx, and socket errors.
    pub(super) errors: u64,
}

impl Load {
    /// Starts it; it ends by itself.
    pub(super) fn start(self, contender: &Contender) -> Result<UnderWay> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "1", "wrk", "--latency", "--threads", "1"]);
        command.args(["--connections", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}s", self.seconds)]);
        for header in HEADERS {
            command.args(["--header", header]);
        }
        command.arg(format!("{}{TARGET}", contender.origin()));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().context("Cannot start wrk.")?;
        Ok(UnderWay {
            child,
            against: contender.name(),
        })
    }

    /// Runs it to its end; errors are none of the figures but a failure.
    pub(super) fn run(self, contender: &Contender) -> Result<Counted> {
        self.start(contender)?.finish()
    }
}

/// Load that runs.
#[derive(Debug)]
pub(super) struct UnderWay {
    child: Child,
    against: &'static str,
}

impl UnderWay {
    /// Whether it still runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub(super) fn finish(self) -> Result<Counted> {
        let output = self
            .child
            .wait_with_output()
            .context("Cannot wait for wrk.")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(counted) = parse(&text) else {
            bail!("wrk said something unexpected:\n{text}");
        };
        if counted.errors > 0 || counted.requests == 0 {
            bail!(
                "{} answered {} requests, {} of them with errors:\n{text}",
                self.against,
                counted.requests,
                counted.errors
            );
        }
        Ok(counted)
    }
}

fn parse(text: &str) -> Option<Counted> {
    let mut counted = Counted::default();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("50%") {
            counted.p50 = micros(rest.trim())?;
        } else if let Some(rest) = line.strip_prefix("99%") {
            counted.p99 = micros(rest.trim())?;
        } else if let Some((requests, rest)) = line.split_once(" requests in ") {
            counted.requests = requests.parse().ok()?;
            let (took, _) = rest.split_once(',')?;
            counted.seconds = micros(took)? / 1e6;
        } else if let Some(rest) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            counted.errors += rest.parse::<u64>().ok()?;
        } else if let Some(rest) = line.strip_prefix("Socket errors: ") {
            let numbers = rest
                .split([' ', ','])
                .filter_map(|word| word.parse::<u64>().ok());
            counted.errors += numbers.sum::<u64>();
        }
    }
    (counted.requests > 0 || counted.errors > 0).then_some(counted)
}

/// `187.00us`, `1.25ms`, `2.01s`, `1.10m` in microseconds.
fn micros(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "Running 2s test\n  Latency Distribution\n     50%  187.00us\n     75%  459.00us\n     \
                    99%    5.84ms\n  42136 requests in 2.01s, 47.18MB read\nRequests/sec:  20987.12\n";
        let counted = parse(text).unwrap();
        assert_eq!(counted.requests, 42_136);
        assert!((counted.p50 - 187.0).abs() < 1e-6 && (counted.p99 - 5840.0).abs() < 1e-6);
        assert!((counted.seconds - 2.01).abs() < 1e-6);
        assert_eq!(counted.errors, 0);
    }

    #[test]
    fn errors_are_counted() {
        let text = "  5 requests in 1.00s, 1MB read\n  Socket errors: connect 1, read 2, write 0, timeout 4\n  \
                    Non-2xx or 3xx responses: 3\n";
        assert_eq!(parse(text).unwrap().errors, 10);
        assert!(parse("cannot connect").is_none());
        assert!(micros("5 parsecs").is_none());
    }
}
