//! What the allocator gives back. A test program of its own, since it counts its memory.

#![cfg(target_env = "gnu")]
#![expect(clippy::unwrap_used, reason = "a test's helper fails by panicking")]

use std::hint::black_box;

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.unwrap().parse().unwrap()
}

/// Rules are compiled by way of tables of some hundred KiB, while what is small and stays
/// (an alert, a bucket, a decision) is made beside them.
#[test]
fn large_blocks_are_given_back_however_much_that_is_small_lives_on() {
    const EACH: usize = 512 << 10;
    host_sys::process::bound_heaps(3);
    // The allocator learns from this one, unless it is told not to.
    drop(black_box(vec![1_u8; 8 * EACH]));
    let before = resident();
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for _ in 0..64 {
        large.push(black_box(vec![1_u8; EACH]));
        small.push(black_box(Box::new([1_u8; 200])));
    }
    let held = resident() - before;
    assert!(held > 30 << 10, "64 blocks take {held} KiB");
    drop(large);
    let left = resident() - before;
    assert!(left < 4 << 10, "{left} KiB of {held} KiB stayed");
    drop(small);
}
