//! Two questions about an XML text: an element's text, and an attribute's value, by a
//! path such as `/Event/EventData[1]/Data[@Name='Image']`.
//!
//! One pass without building a tree. Refuses DTDs' entities (they stay as written) and
//! nesting above [`MAX_DEPTH`]; a document that is not well formed gives nothing.

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 64;
/// The longest path.
const MAX_STEPS: usize = 16;

/// One step of a path.
struct Step<'p> {
    name: &'p [u8],
    /// Counted from 1 among the siblings that fit.
    position: Option<usize>,
    attribute: Option<(&'p [u8], Option<&'p [u8]>)>,
}

/// The text of the first element at `path`.
pub(super) fn node(document: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut reader = find(document, path)?;
    let mut out = Vec::new();
    if reader.tag.empty {
        return Some(out);
    }
    // Text in front of the first child, as the helper's library has it.
    loop {
        match reader.next()? {
            Piece::Text(text) => decode(text, &mut out),
            Piece::Raw(text) => out.extend_from_slice(text),
            Piece::Other => {}
            Piece::Open | Piece::Close => return Some(out),
        }
    }
}

/// An attribute of the first element at `path`.
pub(super) fn attribute(document: &[u8], path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let reader = find(document, path)?;
    reader.tag.attribute(name)
}

fn steps(path: &[u8]) -> Option<Vec<Step<'_>>> {
    let path = path.strip_prefix(b".").unwrap_or(path);
    let parts = path
        .strip_prefix(b"/")
        .unwrap_or(path)
        .split(|byte| *byte == b'/');
    let mut steps = Vec::new();
    for part in parts {
        let open = memchr::memchr(b'[', part).unwrap_or(part.len());
        let (name, mut rest) = part.split_at_checked(open)?;
        let mut step = Step {
            name,
            position: None,
            attribute: None,
        };
        while let Some(inside) = rest.strip_prefix(b"[") {
            let close = memchr::memchr(b']', inside)?;
            let (filter, tail) = inside.split_at_checked(close)?;
            match filter.strip_prefix(b"@") {
                Some(filter) => step.attribute = Some(attribute_filter(filter)),
                None => step.position = std::str::from_utf8(filter).ok()?.parse().ok(),
            }
            rest = tail.get(1..)?;
        }
        if name.is_empty() || steps.len() >= MAX_STEPS {
            return None;
        }
        steps.push(step);
    }
    Some(steps)
}

fn attribute_filter(filter: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', filter).and_then(|at| filter.split_at_checked(at)) {
        Some((name, value)) => {
            let value = value.get(1..).unwrap_or_default();
            let quoted = value.len() >= 2 && matches!(value.first(), Some(b'\'' | b'"'));
            let end = value.len() - usize::from(quoted);
            (
                name,
                Some(value.get(usize::from(quoted)..end).unwrap_or_default()),
            )
        }
        None => (filter, None),
    }
}

impl Step<'_> {
    fn fits(&self, tag: &Tag<'_>) -> bool {
        let name = self.name == b"*" || self.name == tag.name || self.name == tag.local_name();
        name && match self.attribute {
            None => true,
            Some((name, None)) => tag.attribute(name).is_some(),
            Some((name, Some(value))) => tag.attribute(name).is_some_and(|found| found == value),
        }
    }
}

/// Walks to the first element at `path`; the reader stands behind its opening tag.
fn find<'d>(document: &'d [u8], path: &[u8]) -> Option<Reader<'d>> {
    let steps = steps(path)?;
    let mut reader = Reader {
        text: document,
        at: 0,
        tag: Tag::default(),
    };
    // How many open elements are followed, how many below that are not, and how often
    // the next step's filter has fitted so far at each level.
    let (mut followed, mut skipped) = (0_usize, 0_usize);
    let mut seen = [0_usize; MAX_STEPS + 1];
    loop {
        match reader.next()? {
            Piece::Open => {
                let step = steps
                    .get(followed)
                    .filter(|step| skipped == 0 && step.fits(&reader.tag));
                let mut follow = false;
                if let (Some(step), Some(count)) = (step, seen.get_mut(followed)) {
                    *count += 1;
                    follow = step.position.is_none_or(|position| position == *count);
                }
                if follow && followed + 1 == steps.len() {
                    return Some(reader);
                }
                if reader.tag.empty {
                    continue;
                }
                if follow {
                    followed += 1;
                    *seen.get_mut(followed)? = 0;
                } else {
                    skipped += 1;
                }
                if followed + skipped > MAX_DEPTH {
                    return None;
                }
            }
            Piece::Close if skipped > 0 => skipped -= 1,
            Piece::Close => followed = followed.checked_sub(1)?,
            Piece::Text(_) | Piece::Raw(_) | Piece::Other => {}
        }
    }
}

/// What stands in a document one after the other.
enum Piece<'d> {
    /// An opening tag; see [`Reader::tag`].
    Open,
    Close,
    /// Text with entities.
    Text(&'d [u8]),
    /// CDATA.
    Raw(&'d [u8]),
    /// Comments, declarations.
    Other,
}

#[derive(Default)]
struct Tag<'d> {
    name: &'d [u8],
    /// Everything behind the name.
    rest: &'d [u8],
    empty: bool,
}

impl Tag<'_> {
    fn local_name(&self) -> &[u8] {
        let at = memchr::memchr(b':', self.name).map_or(0, |at| at + 1);
        self.name.get(at..).unwrap_or_default()
    }

    fn attribute(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut rest = self.rest.trim_ascii_start();
        while !rest.is_empty() {
            let equals = memchr::memchr(b'=', rest)?;
            let key = rest.get(..equals)?.trim_ascii();
            let tail = rest.get(equals + 1..)?.trim_ascii_start();
            let (quote, tail) = tail
                .split_first()
                .filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
            let end = memchr::memchr(*quote, tail)?;
            if key == name {
                let mut value = Vec::new();
                decode(tail.get(..end)?, &mut value);
                return Some(value);
            }
            rest = tail.get(end + 1..)?.trim_ascii_start();
        }
        None
    }
}

struct Reader<'d> {
    text: &'d [u8],
    at: usize,
    tag: Tag<'d>,
}

impl<'d> Reader<'d> {
    /// The next piece; `None` at the end or at something that is no XML.
    fn next(&mut self) -> Option<Piece<'d>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        if !rest.starts_with(b"<") {
            let len = memchr::memchr(b'<', rest).unwrap_or(rest.len());
            self.at += len;
            return rest.get(..len).map(Piece::Text);
        }
        for (open, close, cdata) in [
            (&b"<!--"[..], &b"-->"[..], false),
            (b"<![CDATA[", b"]]>", true),
            (b"<?", b"?>", false),
            (b"<!", b">", false),
        ] {
            if let Some(inside) = rest.strip_prefix(open) {
                let len = memchr::memmem::find(inside, close)?;
                self.at += open.len() + len + close.len();
                let raw = inside.get(..len)?;
                return Some(if cdata { Piece::Raw(raw) } else { Piece::Other });
            }
        }
        let len = tag_end(rest)?;
        self.at += len + 1;
        let inside = rest.get(1..len)?;
        if inside.starts_with(b"/") {
            return Some(Piece::Close);
        }
        let (inside, empty) = match inside.strip_suffix(b"/") {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let name_end = inside
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(inside.len());
        let (name, rest) = inside.split_at_checked(name_end)?;
        self.tag = Tag { name, rest, empty };
        Some(Piece::Open)
    }
}

/// Where the tag's `>` stands, quotes honoured.
fn tag_end(rest: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Resolves the five named entities and numbers; others stay as written.
fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let entity = memchr::memchr(b';', tail)
            .filter(|len| *len < 12)
            .and_then(|len| Some((letter(tail.get(1..len)?)?, tail.get(len + 1..)?)));
        match entity {
            Some((letter, tail)) => {
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
            }
            None => {
                out.push(b'&');
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest);
}

fn letter(entity: &[u8]) -> Option<char> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    };
    match entity {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => match entity.strip_prefix(b"#") {
            Some(digits) => match digits.strip_prefix(b"x") {
                Some(digits) => number(digits, 16),
                None => number(digits, 10),
            },
            None => None,
        },
    }
}
