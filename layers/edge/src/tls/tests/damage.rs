//! Chance: damaged, cut and oddly ordered records.

use std::io::Write as _;

use rustls::{ContentType, version};

use super::{BOTH, Pair, give, pattern, read};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// `EDGE_TLS_ROUNDS=5000` looks longer.
fn rounds() -> usize {
    std::env::var("EDGE_TLS_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap())
}

#[test]
fn no_damage_to_what_a_client_says_brings_us_down() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds() {
        let mut pair = Pair::new(BOTH[round % 2], 1 + dice.below(3000));
        for _ in 0..5 {
            let sent = pattern(dice.below(3000));
            pair.client.writer().write_all(&sent).unwrap();
            let mut said = pair.client_says();
            if !said.is_empty() && dice.below(3) == 0 {
                let at = dice.below(said.len());
                said[at] ^= 1 << dice.below(8);
            }
            if pair.pass(&said, 1 + dice.below(4000)).is_err() {
                assert!(pair.server.seal([b"x", b"", b""]).is_err(), "DENY");
                break;
            }
            if pair.server.seal([&sent, b"end", b""]).is_err() || pair.hear().is_err() {
                break;
            }
        }
    }
}

#[test]
fn no_damage_to_a_handshake_brings_us_down() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for round in 0..rounds() * 10 {
        let mut pair = Pair::fresh(BOTH[round % 2], b"http/1.1", 1);
        for _ in 0..3 {
            // the same message in other records, a little of it wrong now and then
            let said = pair.client_says();
            let body = said.get(5..).unwrap_or_default();
            let mut records = Vec::new();
            for part in body.chunks(1 + dice.below(200)) {
                records.extend([22, 3, 1, 0, part.len() as u8]);
                records.extend(part);
            }
            let mut records = if dice.below(2) == 0 { said } else { records };
            for _ in 0..dice.below(3) {
                if !records.is_empty() {
                    let at = dice.below(records.len());
                    records[at] ^= 1 << dice.below(8);
                }
            }
            records.truncate(dice.below(2 * records.len() + 2));
            for part in records.chunks(1 + dice.below(400)) {
                give(&mut pair.server, part);
                if pair.server.shake().is_err() {
                    break;
                }
                pair.server.rest();
            }
            if pair.hear().is_err() {
                break;
            }
        }
        pair.server.came(0);
        drop(pair.server.shake());
        drop(pair.server.seal([b"x", b"", b""]));
        pair.server.close();
    }
}

#[test]
fn no_order_of_records_and_of_what_we_do_brings_us_down_or_loses_a_byte() {
    let mut dice = Dice(0x0dd5_eed5_0dd5_eed5);
    for _ in 0..rounds() {
        let (mut server, mut forge) = Pair::new(&version::TLS13, 1_000_000).forger();
        let (mut sent, mut heard, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..dice.below(60) {
            let bytes = pattern(dice.below(50));
            let record = match dice.below(12) {
                0 => forge(ContentType::Handshake, b""),
                1 => forge(ContentType::Handshake, &[24, 0]),
                2 => forge(ContentType::Handshake, &[24, 0, 0, 1, 1, 24]),
                3 => forge(ContentType::Handshake, &bytes),
                4 => forge(ContentType::Alert, &[1, 90]),
                _ => {
                    sent.extend(&bytes);
                    forge(ContentType::ApplicationData, &bytes)
                }
            };
            waiting.extend(record);
            let now = dice.below(waiting.len() + 1);
            let fine = match server.room() {
                Ok(room) if now > 0 => {
                    let now = now.min(room.len());
                    room[..now].copy_from_slice(&waiting[..now]);
                    server.came(now);
                    waiting.drain(..now);
                    let mut into = Vec::with_capacity(1 + dice.below(100));
                    let opened = server.open(&mut into, || dice.below(5) > 0);
                    heard.extend(into);
                    opened.is_ok()
                }
                room => room.is_ok(),
            };
            if dice.below(3) == 0 {
                drop(server.seal([&bytes, b"", b"x"]));
                server.sent(dice.below(2000));
            }
            if dice.below(3) == 0 {
                server.rest();
            }
            if !fine {
                break;
            }
        }
        if dice.below(2) == 0 {
            server.came(0);
        }
        server.sent(usize::MAX);
        drop(server.seal([b"a", b"b", b"c"]));
        heard.extend(read(&mut server, 7).unwrap_or_default());
        server.sent(usize::MAX);
        server.close();
        assert!(sent.starts_with(&heard), "DENY: bytes out of order");
    }
}
