//! What strangers and upstreams send: `wire`.

use wire::corpus::{chunked_bodies, requests, responses};
use wire::{
    BodyDecoder, BodyEvent, BodyFraming, Fault, HeaderId, HeaderSet, Limits, Method, Parse,
    RequestHead, RequestWrite, ResponseHead, ResponseWrite, Version,
};

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    requests().iter().map(|row| row.bytes.to_vec()).collect()
}

pub(crate) fn response_seeds() -> Vec<Vec<u8>> {
    responses().iter().map(|row| row.bytes.to_vec()).collect()
}

pub(crate) fn body_seeds() -> Vec<Vec<u8>> {
    chunked_bodies()
        .iter()
        .map(|row| row.bytes.to_vec())
        .collect()
}

pub(crate) fn target_seeds() -> Vec<Vec<u8>> {
    [
        "/",
        "/a/../b",
        "/%2e%2e/x",
        "//a//b",
        "/a%5cb",
        "/a;b",
        "/%252e",
        "/a?b=c",
        "/./.",
        "/a\\..\\b",
        "/%zz",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn host_seeds() -> Vec<Vec<u8>> {
    [
        "a",
        "Example.ORG:8080",
        "[::1]:80",
        "192.0.2.1",
        "a..b",
        "x.",
        "[::ffff:192.0.2.1]",
        "a_b-c.d",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A head parsed whole and byte after byte comes out the same.
fn in_pieces(data: &[u8], mut parse: impl FnMut(&[u8]) -> Parse) -> Parse {
    let step = (data.len() / 64).max(1);
    let mut last = Parse::Partial;
    for end in (1..=data.len()).step_by(step).chain([data.len()]) {
        last = parse(&data[..end]);
        if last != Parse::Partial {
            break;
        }
    }
    last
}

/// What passes is written, read back with the same meaning, and written the same again.
pub(crate) fn request(data: &[u8]) {
    let limits = Limits::default();
    let (mut head, mut again) = (RequestHead::new(), RequestHead::new());
    let whole = head.parse(data, &limits);
    assert_eq!(in_pieces(data, |part| again.parse(part, &limits)), whole);
    let _for_the_log = head.partial_line(data);
    let Parse::Done { consumed } = whole else {
        return;
    };
    assert!(data[..consumed].ends_with(b"\r\n\r\n"));
    let request = head.request(data);
    if request.host().is_none() {
        return; // HTTP/1.0 without Host: the caller must name one
    }
    let mut first = Vec::new();
    let how = RequestWrite {
        upgrades: &[b"websocket"],
        ..RequestWrite::default()
    };
    wire::write_request(&mut first, &request, &how);
    again.clear();
    assert_eq!(
        again.parse(&first, &limits),
        Parse::Done {
            consumed: first.len()
        }
    );
    let anew = again.request(&first);
    assert_eq!(
        (
            anew.method_bytes(),
            anew.target(),
            anew.framing(),
            anew.host()
        ),
        (
            request.method_bytes(),
            request.target(),
            request.framing(),
            request.host()
        )
    );
    // Framing and what holds for one hop are written anew, everything else as it came.
    let ours = HeaderSet::HOP_BY_HOP.and(HeaderId::ContentLength);
    for header in anew.headers().iter().filter(|header| !ours.has(header.id)) {
        let came = |old: wire::Header<'_>| (old.name, old.value) == (header.name, header.value);
        assert!(request.headers().iter().any(came), "nothing appears");
    }
    let mut second = Vec::new();
    wire::write_request(&mut second, &anew, &how);
    assert_eq!(first, second);
}

pub(crate) fn response(data: &[u8]) {
    let limits = Limits::default();
    for asked in [Method::Get, Method::Head, Method::Connect] {
        let (mut head, mut again) = (ResponseHead::new(), ResponseHead::new());
        let whole = head.parse(data, &limits, asked);
        assert_eq!(
            in_pieces(data, |part| again.parse(part, &limits, asked)),
            whole
        );
        if !matches!(whole, Parse::Done { .. }) {
            continue;
        }
        let response = head.response(data);
        let framing = response.framing().towards(Version::Http11);
        let mut out = Vec::new();
        let how = ResponseWrite {
            framing,
            client: Version::Http11,
            persistent: true,
            drop: HeaderSet::EMPTY,
            drop_names: &[],
            add: &[],
        };
        wire::write_response(&mut out, &response, &how);
        again.clear();
        assert_eq!(
            again.parse(&out, &limits, asked),
            Parse::Done {
                consumed: out.len()
            }
        );
        let anew = again.response(&out);
        assert_eq!(
            (anew.status(), anew.framing()),
            (response.status(), framing)
        );
    }
}

/// What a body comes to: its data, its length, or the fault.
fn decode(data: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, Fault> {
    let mut decoder = BodyDecoder::new(BodyFraming::Chunked, &Limits::default());
    let (mut body, mut used) = (Vec::new(), 0);
    for end in (1..=data.len())
        .filter(|end| end % cut == 0)
        .chain([data.len()])
    {
        loop {
            let piece = &data[used..end.max(used)];
            let step = decoder.step(piece);
            used += step.consumed;
            match step.event {
                BodyEvent::More => break,
                BodyEvent::Data(range) => body.extend_from_slice(&piece[range]),
                BodyEvent::End => return Ok(Some((body, used))),
                BodyEvent::Refuse(fault) => return Err(fault),
            }
        }
    }
    Ok(None)
}

/// A body means the same however it is cut, and what is written of it reads back.
pub(crate) fn body(data: &[u8]) {
    let whole = decode(data, usize::MAX);
    for cut in [1, 2, 3, 7] {
        assert_eq!(decode(data, cut), whole, "cut into pieces of {cut}");
    }
    let Ok(Some((body, used))) = whole else {
        return;
    };
    assert!(used <= data.len() && body.len() <= data.len());
    let mut out = Vec::new();
    if !body.is_empty() {
        wire::write_chunk_head(&mut out, body.len());
        out.extend_from_slice(&body);
        wire::write_chunk_end(&mut out);
    }
    out.extend_from_slice(b"0\r\n\r\n");
    let length = out.len();
    assert_eq!(decode(&out, 5), Ok(Some((body, length))));
}

/// A path is brought into one form that stays as it is and never leaves the root.
pub(crate) fn target(data: &[u8]) {
    let rooted = [b"/", data].concat();
    let (path, _) = wire::normal_path(&rooted);
    assert!(path.starts_with(b"/"));
    assert!(
        !path
            .split(|byte| *byte == b'/')
            .any(|part| part == b".." || part == b".")
    );
    let _unrooted = wire::normal_path(data);
    let (path, query) = wire::split_target(data);
    assert!(path.len() + query.map_or(0, |query| query.len() + 1) <= data.len());
    let logged = wire::text::logged(data);
    assert!(
        logged
            .bytes()
            .all(|byte| (32..127).contains(&byte) && byte != b'"')
    );
    assert!(!wire::text::readable(data).chars().any(char::is_control));
}

/// A host in its normal form is a host with that very form.
pub(crate) fn host(data: &[u8]) {
    let Some(normal) = wire::host::normal_host(data) else {
        return;
    };
    let spelled = if normal.contains(':') {
        format!("[{normal}]")
    } else {
        normal.clone().into_owned()
    };
    assert_eq!(wire::host::normal_host(spelled.as_bytes()), Some(normal));
}

pub(crate) fn proxy_seeds() -> Vec<Vec<u8>> {
    let second = b"\r\n\r\n\0\r\nQUIT\n";
    vec![
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [
            &second[..],
            b"\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x12\x34\x01\xbb",
        ]
        .concat(),
        [&second[..], b"\x20\0\0\0"].concat(),
        [&second[..], &b"\x21\x21\0\x24"[..], &[7; 36]].concat(),
    ]
}

/// What a balancer says before the first byte: the same however it comes, and never more
/// than it consists of.
pub(crate) fn proxy(data: &[u8]) {
    use wire::proxy::{ProxyParse, looks_like_one, parse};
    let whole = parse(data);
    for end in 0..=data.len().min(300) {
        let part = parse(&data[..end]);
        assert!(
            part == ProxyParse::Partial || part == whole,
            "cut after {end}"
        );
        if part != ProxyParse::Partial {
            break;
        }
    }
    if let ProxyParse::Done { consumed, .. } = whole {
        assert!(consumed <= data.len() && looks_like_one(data));
        assert_eq!(parse(&data[..consumed]), whole);
    }
}
