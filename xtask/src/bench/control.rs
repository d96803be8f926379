//! Orders to a running instance over its control socket.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Orders under way at once; they share the disk's time.
const HANDS: usize = 24;

/// A book that was filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub(super) bans: usize,
    pub(super) took: Duration,
}

/// Gives one order, as JSON without its braces and version.
pub(super) fn order(socket: &Path, words: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("Cannot reach Ringwall at {}.", socket.display()))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .context("Cannot set a time-out.")?;
    writeln!(stream, "{{\"version\":1,{words}}}").context("Cannot give an order.")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("Ringwall did not answer an order.")?;
    if !answer.starts_with("{\"ok\"") {
        bail!("Ringwall did not carry out {words}: {}", answer.trim());
    }
    Ok(())
}

/// Bars `count` addresses of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544);
/// fewer when the time is up.
pub(super) fn fill(socket: &Path, count: usize, within: Duration) -> Result<Filled> {
    let began = Instant::now();
    let most = u32::try_from(count).unwrap_or(u32::MAX).min(1 << 17);
    let next = AtomicU32::new(0);
    let done = AtomicU32::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                while began.elapsed() < within {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= most {
                        return;
                    }
                    if let Err(error) = bar(socket, number) {
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(error);
                        }
                        return;
                    }
                    done.fetch_add(1, Relaxed);
                }
            });
        }
    });
    if let Ok(Some(error)) = failed.into_inner() {
        return Err(error);
    }
    let (bans, took) = (done.into_inner() as usize, began.elapsed());
    // A book that is not full says nothing of a full one.
    println!("  {bans} of {most} bans in {:.1} s", took.as_secs_f64());
    Ok(Filled { bans, took })
}

fn bar(socket: &Path, number: u32) -> Result<()> {
    let base = Ipv4Addr::new(198, 18, 0, 0).to_bits();
    // Spread over the range, as sources are: neighbours would melt into one segment.
    let address = Ipv4Addr::from_bits(base + number.wrapping_mul(40_503) % (1 << 17));
    let words = format!(
        r#""ask":"decide","value":"{address}","kind":"ban","seconds":86400,"reason":"benchmark""#
    );
    order(socket, &words)
}
