use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType,
    PeerMisbehaved, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version,
};

use super::session::{Fault, MOST, Session};
use crate::HostPattern;
use crate::buffer::WIDE;
use crate::certificate::{Certificates, Witness, provider, self_signed, server_config};

mod damage;

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A client and our session, with nothing between them but this test.
struct Pair {
    client: ClientConnection,
    server: Session,
    witness: Arc<Witness>,
    /// Bytes of ciphertext that reach the server in one go.
    piece: usize,
}

impl Pair {
    /// Before the handshake.
    fn fresh(version: &'static SupportedProtocolVersion, alpn: &[u8], piece: usize) -> Self {
        let own = self_signed(&[HostPattern::parse("app.localhost").unwrap()]).unwrap();
        let certificates = Arc::new(Certificates::new(provider()));
        certificates.replace(std::slice::from_ref(&own)).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&own.chain_pem).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("app.localhost").unwrap();
        let shared = server_config(provider(), certificates).unwrap();
        let (config_here, witness) = Witness::beside(&shared);
        Self {
            client: ClientConnection::new(Arc::new(config), name).unwrap(),
            server: Session::new(config_here, std::rc::Rc::default()).unwrap(),
            witness,
            piece,
        }
    }

    /// After it.
    fn new(version: &'static SupportedProtocolVersion, piece: usize) -> Self {
        let mut pair = Self::fresh(version, b"http/1.1", piece);
        let mut done = false;
        while pair.client.is_handshaking() || !done {
            for piece in pair.client_says().chunks(pair.piece) {
                give(&mut pair.server, piece);
                done = pair.server.shake().unwrap();
            }
            pair.hear().unwrap();
        }
        pair
    }

    /// What the client has to send.
    fn client_says(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut said).unwrap();
        }
        said
    }

    /// Gives the client what the server has to send; what it reads of it.
    fn hear(&mut self) -> Result<Vec<u8>, rustls::Error> {
        let mut heard = Vec::new();
        while !self.server.unsent().is_empty() {
            let count = self.client.read_tls(&mut self.server.unsent()).unwrap();
            self.server.sent(count);
            self.client.process_new_packets()?;
            drop(self.client.reader().read_to_end(&mut heard)); // nothing yet is an error
        }
        Ok(heard)
    }

    /// Gives the server ciphertext in pieces; what it reads, `room` bytes at a time.
    fn pass(&mut self, ciphertext: &[u8], room: usize) -> Result<Vec<u8>, Fault> {
        let mut all = Vec::new();
        for mut piece in ciphertext.chunks(self.piece) {
            while !piece.is_empty() {
                piece = give_some(&mut self.server, piece);
                all.extend(read(&mut self.server, room)?);
            }
        }
        Ok(all)
    }

    /// Seals with the keys of the client, whatever that may be; from here on the client
    /// itself says nothing.
    fn forger(self) -> (Session, impl FnMut(ContentType, &[u8]) -> Vec<u8>) {
        let rustls::SupportedCipherSuite::Tls13(suite) =
            self.client.negotiated_cipher_suite().unwrap()
        else {
            panic!("forged records are of TLS 1.3");
        };
        let (mut sequence, secrets) = self.client.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("keys of an unknown kind");
        };
        let mut sealer = suite.aead_alg.encrypter(key, iv);
        let forge = move |typ, payload: &[u8]| {
            let message = OutboundPlainMessage {
                typ,
                version: ProtocolVersion::TLSv1_3,
                payload: OutboundChunks::Single(payload),
            };
            sequence += 1;
            sealer.encrypt(message, sequence - 1).unwrap().encode()
        };
        (self.server, forge)
    }
}

/// One read from a socket; what stays in it.
fn give_some<'a>(server: &mut Session, ciphertext: &'a [u8]) -> &'a [u8] {
    let room = server.room().unwrap();
    let count = room.len().min(ciphertext.len());
    room[..count].copy_from_slice(&ciphertext[..count]);
    server.came(count);
    &ciphertext[count..]
}

fn give(server: &mut Session, mut ciphertext: &[u8]) {
    while !ciphertext.is_empty() {
        ciphertext = give_some(server, ciphertext);
    }
}

/// All that can be read now, `room` bytes at a time.
fn read(server: &mut Session, room: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    loop {
        let mut into = Vec::with_capacity(room);
        let capacity = into.capacity();
        let count = server.open(&mut into, || true)?;
        assert_eq!(into.capacity(), capacity, "DENY: somebody's buffer grew");
        assert_eq!(into.len(), count);
        if count == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&into);
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// The lengths of the records in `ciphertext`.
fn records(mut ciphertext: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = ciphertext {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        ciphertext = &rest[length..];
    }
    lengths
}

#[test]
fn bytes_pass_both_ways_however_they_are_cut() {
    for version in BOTH {
        for piece in [1, 7, 1000, 20_000, 1_000_000] {
            let mut pair = Pair::new(version, piece);
            assert_eq!(pair.witness.name().as_deref(), Some("app.localhost"));
            let kept = Arc::strong_count(&pair.witness);
            assert_eq!(kept, 1, "the handshake's configuration is not kept");
            for (length, room) in [(1, 1), (300, 16_384), (16_384, 16_384), (50_000, 700)] {
                let sent = pattern(length);
                pair.client.writer().write_all(&sent).unwrap();
                let said = pair.client_says();
                assert_eq!(pair.pass(&said, room).unwrap(), sent, "{piece} {length}");
                assert_eq!(pair.server.seal([&sent, b"more", b""]).unwrap(), length + 4);
                let heard = pair.hear().unwrap();
                assert_eq!(heard, [&sent[..], b"more"].concat());
            }
            pair.server.rest();
            assert!(!pair.server.is_readable() && pair.server.is_drained());
            assert!(pair.server.holds_nothing(), "an idle session has no buffer");
        }
    }
}

#[test]
fn a_head_and_a_body_share_records() {
    for (pieces, count) in [
        ([0, 0, 0], 0),
        ([1, 0, 0], 1),
        ([300, 600, 2], 1),
        ([300, 16_084, 0], 1),
        ([300, 16_084, 1], 2),
        ([16_384, 16_384, 16_384], 3),
        ([300, 65_000, 2], 4),
        ([0, 65_536, 0], 4),
        ([1, 1, 65_536], 5),
    ] {
        let mut pair = Pair::new(&version::TLS13, 1);
        let all = pattern(pieces.iter().sum());
        let (a, rest) = all.split_at(pieces[0]);
        let (b, c) = rest.split_at(pieces[1]);
        assert_eq!(pair.server.seal([a, b, c]).unwrap(), all.len());
        let lengths = records(pair.server.unsent());
        assert_eq!(lengths.len(), count, "{pieces:?}: {lengths:?}");
        assert_eq!(pair.hear().unwrap(), all, "{pieces:?}");
    }
}

#[test]
fn no_more_is_sealed_than_the_window_holds_and_nothing_before_it_is_sent() {
    for version in BOTH {
        let mut pair = Pair::new(version, 1000);
        let much = pattern(1_000_000);
        assert_eq!(pair.server.seal([&much[..70], &much, b""]).unwrap(), MOST);
        assert!(pair.server.unsent().len() <= WIDE);
        let before = pair.server.unsent().to_vec();
        assert!(
            pair.server.seal([b"x", b"", b""]).is_err(),
            "DENY: sealed ahead"
        );
        assert_eq!(pair.server.unsent(), before);
        assert_eq!(pair.hear().unwrap().len(), MOST);
        assert_eq!(pair.server.seal([b"x", b"", b""]).unwrap(), 1);
    }
}

#[test]
fn what_came_unread_is_kept_in_order_while_something_is_written() {
    for version in BOTH {
        let mut pair = Pair::new(version, 1_000_000);
        let mut said = Vec::new();
        let sent = pattern(30_000);
        for part in sent.chunks(900) {
            pair.client.writer().write_all(part).unwrap();
            said.extend(pair.client_says());
        }
        give(&mut pair.server, &said[..18_000]);
        let mut first = Vec::with_capacity(100);
        pair.server.open(&mut first, || true).unwrap();
        assert!(pair.server.is_readable());
        pair.server.seal([b"answer", b"", b""]).unwrap();
        assert_eq!(pair.hear().unwrap(), b"answer");
        assert!(pair.server.is_readable(), "opened bytes show");
        first.extend(read(&mut pair.server, 333).unwrap());
        give(&mut pair.server, &said[18_000..]);
        first.extend(read(&mut pair.server, 16_384).unwrap());
        assert_eq!(first, sent);
    }
}

#[test]
fn who_is_tired_goes_on_later() {
    let mut pair = Pair::new(&version::TLS13, 1_000_000);
    for byte in 0..100_u8 {
        pair.client.writer().write_all(&[byte]).unwrap();
    }
    let said = pair.client_says();
    give(&mut pair.server, &said);
    let (mut into, mut left) = (Vec::with_capacity(1000), 30);
    let count = pair.server.open(&mut into, || {
        left -= 1;
        left >= 0
    });
    assert_eq!(count.unwrap(), 30);
    assert!(pair.server.is_readable());
    assert_eq!(read(&mut pair.server, 1000).unwrap().len(), 70);
    assert!(!pair.server.is_readable());
}

#[test]
fn an_end_is_said_and_heard_and_each_side_ends_alone() {
    for version in BOTH {
        // theirs first: we go on speaking
        let mut pair = Pair::new(version, 5);
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        let said = pair.client_says();
        assert_eq!(pair.pass(&said, 100).unwrap(), b"last");
        assert!(pair.server.has_ended() && pair.server.is_readable());
        pair.server.seal([b"still here", b"", b""]).unwrap();
        assert_eq!(pair.hear().unwrap(), b"still here");
        // ours first: we go on listening
        let mut pair = Pair::new(version, 5);
        pair.server.close();
        pair.hear().unwrap();
        let state = pair.client.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
        assert!(
            pair.server.seal([b"x", b"", b""]).is_err(),
            "DENY: spoke on"
        );
        pair.client.writer().write_all(b"still here").unwrap();
        let said = pair.client_says();
        assert_eq!(pair.pass(&said, 100).unwrap(), b"still here");
        // a second close says nothing, and an end without a word is one too
        pair.server.close();
        assert!(pair.server.unsent().is_empty());
        pair.server.came(0);
        assert!(pair.server.has_ended());
        assert!(read(&mut pair.server, 10).unwrap().is_empty());
    }
}

#[test]
fn a_broken_record_ends_all_after_what_came_before_it_and_the_client_hears_why() {
    for version in BOTH {
        for at in [-1_i32, -10, 0, 3] {
            let mut pair = Pair::new(version, 1_000_000);
            pair.client.writer().write_all(b"good").unwrap();
            let mut said = pair.client_says();
            pair.client.writer().write_all(b"bad").unwrap();
            let mut bad = pair.client_says();
            let place = if at < 0 {
                bad.len() - at.unsigned_abs() as usize
            } else {
                at as usize
            };
            bad[place] ^= 0x55;
            said.extend(bad);
            give(&mut pair.server, &said);
            let mut into = Vec::with_capacity(100);
            assert_eq!(pair.server.open(&mut into, || true).unwrap(), 4);
            let alert = pair.hear();
            assert!(
                matches!(alert, Err(rustls::Error::AlertReceived(_))),
                "{at}: {alert:?}"
            );
            for _ in 0..2 {
                assert!(pair.server.open(&mut into, || true).is_err(), "DENY {at}");
                assert!(pair.server.seal([b"x", b"", b""]).is_err(), "DENY {at}");
                pair.server.close();
            }
            assert!(pair.server.holds_nothing());
        }
    }
}

#[test]
fn a_handshake_that_fails_says_why() {
    let mut pair = Pair::fresh(&version::TLS13, b"h2", 1_000_000);
    let said = pair.client_says();
    give(&mut pair.server, &said);
    assert!(pair.server.shake().is_err(), "DENY: no protocol in common");
    assert_eq!(
        pair.hear().unwrap_err(),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
    );
    for nonsense in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01\xff\xff0123456789",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x17\x03\x03\x00\x01x",
    ] {
        let mut pair = Pair::fresh(&version::TLS13, b"http/1.1", 1);
        give(&mut pair.server, nonsense);
        assert!(pair.server.shake().is_err(), "DENY {nonsense:?}");
        assert_eq!(pair.server.unsent().first(), Some(&21), "no alert");
        assert!(pair.server.shake().is_err(), "DENY a second try");
    }
    // an alert of theirs is no reason for one of ours, and before the end there is none
    let mut pair = Pair::fresh(&version::TLS13, b"http/1.1", 1);
    give(&mut pair.server, b"\x15\x03\x03\x00\x02\x02\x28");
    assert!(pair.server.shake().is_err());
    pair.server.close();
}

#[test]
fn a_hello_in_many_records_is_heard_and_its_memory_is_bounded() {
    let mut pair = Pair::fresh(&version::TLS13, b"http/1.1", 1);
    let hello = pair.client_says();
    for byte in &hello[5..] {
        give(&mut pair.server, &[22, 3, 1, 0, 1, *byte]);
        assert!(!pair.server.shake().unwrap());
    }
    assert!(!pair.server.unsent().is_empty(), "it was answered");
    pair.hear().unwrap();
    // one that claims the most, and comes in as many records
    let mut pair = Pair::fresh(&version::TLS13, b"http/1.1", 1);
    give(&mut pair.server, &[22, 3, 1, 0, 4, 1, 0, 0xff, 0xff]);
    let mut taken = 9;
    let fault = loop {
        assert!(!pair.server.shake().unwrap());
        match pair.server.room() {
            Ok(room) => {
                assert!(room.len() <= WIDE);
                let record = [22, 3, 1, 0, 1, 0];
                let at = (taken - 9) % 6; // it comes as it fits
                let count = room.len().min(6 - at);
                room[..count].copy_from_slice(&record[at..at + count]);
                pair.server.came(count);
                taken += count;
            }
            Err(fault) => break fault,
        }
        assert!(taken <= WIDE + 6, "DENY: {taken} bytes for one hello");
    };
    assert!(matches!(fault, Fault::TooLong));
    assert!(pair.server.holds_nothing());
    // one that claims too much
    let mut pair = Pair::fresh(&version::TLS13, b"http/1.1", 1);
    give(&mut pair.server, &[22, 3, 1, 0, 4, 1, 1, 0, 0]);
    assert!(pair.server.shake().is_err(), "DENY: a hello of 64 KiB");
}

#[test]
fn keys_are_changed_when_the_client_wants_it_but_not_for_ever() {
    let mut pair = Pair::new(&version::TLS13, 1_000_000);
    for round in 0..100_u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(&[round]).unwrap();
        let said = pair.client_says();
        assert_eq!(pair.pass(&said, 10).unwrap(), [round]);
        // the answer carries our new key before its bytes
        pair.server.seal([&[round], &[0; 20_000], b"end"]).unwrap();
        assert_eq!(pair.hear().unwrap().len(), 20_004);
    }
    for _ in 0..40 {
        pair.client.refresh_traffic_keys().unwrap();
    }
    let said = pair.client_says();
    let flood = pair.pass(&said, 10);
    assert!(
        matches!(
            flood,
            Err(Fault::Peer(rustls::Error::PeerMisbehaved(
                PeerMisbehaved::TooManyKeyUpdateRequests
            )))
        ),
        "DENY: {flood:?}"
    );
}

#[test]
fn odd_records_neither_break_a_session_nor_stay_in_it() {
    let new = || Pair::new(&version::TLS13, 1_000_000).forger();
    // an empty handshake record, then writing with nothing and with something unread
    let (mut server, mut forge) = new();
    for _ in 0..20 {
        give(&mut server, &forge(ContentType::Handshake, b""));
        server.seal([b"a", b"", b""]).unwrap();
        server.sent(usize::MAX);
        give(&mut server, &forge(ContentType::ApplicationData, b"b"));
        server.seal([b"a", b"", b""]).unwrap();
        server.sent(usize::MAX);
        assert_eq!(read(&mut server, 10).unwrap(), b"b");
        server.rest();
        assert!(server.holds_little(), "DENY: kept a buffer");
    }
    // half a key update: writing goes on, and so does reading once the rest is there
    let (mut server, mut forge) = new();
    give(&mut server, &forge(ContentType::Handshake, &[24, 0]));
    assert!(read(&mut server, 10).unwrap().is_empty());
    for _ in 0..3 {
        server.seal([b"a", b"", b""]).unwrap();
        server.sent(usize::MAX);
    }
    server.rest();
    assert!(server.holds_little());
    give(&mut server, &forge(ContentType::Handshake, &[0, 1, 0]));
    assert!(read(&mut server, 10).unwrap().is_empty());
    // half a key update, and nothing more for ever
    let (mut server, mut forge) = new();
    give(&mut server, &forge(ContentType::Handshake, &[24, 0]));
    assert!(read(&mut server, 10).unwrap().is_empty());
    server.came(0);
    assert!(server.has_ended() && server.holds_little());
    server.seal([b"a", b"", b""]).unwrap();
    server.sent(usize::MAX);
    server.close();
    // bytes behind the last word
    let (mut server, mut forge) = new();
    give(&mut server, &forge(ContentType::Handshake, b""));
    give(&mut server, &forge(ContentType::Alert, &[1, 0]));
    give(&mut server, &forge(ContentType::ApplicationData, b"b"));
    assert!(read(&mut server, 10).unwrap().is_empty());
    assert!(server.has_ended() && server.holds_nothing());
    server.seal([b"a", b"", b""]).unwrap();
    server.sent(usize::MAX);
    server.close();
    // half a key update, and something else in its midst
    let (mut server, mut forge) = new();
    give(&mut server, &forge(ContentType::Handshake, &[24, 0]));
    give(&mut server, &forge(ContentType::ApplicationData, b"b"));
    assert!(server.seal([b"a", b"", b""]).is_err(), "DENY");
    assert!(read(&mut server, 10).is_err(), "DENY");
    // nothing at all, over and over
    let (mut server, mut forge) = new();
    let flood: Vec<u8> = (0..40)
        .flat_map(|_| forge(ContentType::ApplicationData, b""))
        .collect();
    give(&mut server, &flood);
    assert!(
        read(&mut server, 10).is_err(),
        "DENY: empty records for ever"
    );
    // a handshake of the old kind, early data's end, a change of ciphers
    for (typ, payload) in [
        (ContentType::Handshake, &[1, 0, 0, 0][..]),
        (ContentType::Handshake, &[5, 0, 0, 0]),
        (ContentType::ChangeCipherSpec, &[1]),
        (ContentType::Unknown(99), &[1]),
        (ContentType::Alert, &[2, 40]),
    ] {
        let (mut server, mut forge) = new();
        give(&mut server, &forge(typ, payload));
        assert!(read(&mut server, 10).is_err(), "DENY {typ:?} {payload:?}");
        assert!(server.seal([b"a", b"", b""]).is_err());
    }
}

#[test]
fn a_session_is_small() {
    // Three quarters and more of it are rustls's.
    let size = size_of::<super::Tls>();
    assert!(size <= 1280, "{size} bytes");
}
