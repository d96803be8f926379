//! What looks like a login page, by its address.

/// Parts of addresses that lead to a login, in lower case; they may be the beginning or the end
/// of a longer word (`UserLogin`, `loginform`), but do not count amid one (`blogindex`).
const PARTS: [&[u8]; 10] = [
    b"login",
    b"logon",
    b"log-in",
    b"log_in",
    b"signin",
    b"sign-in",
    b"sign_in",
    b"anmelden",
    b"authenticat",
    b"authoriz",
];

/// Those that count as whole words only.
const WORDS: [&[u8]; 8] = [
    b"auth",
    b"oauth",
    b"openid",
    b"saml",
    b"sso",
    b"cas",
    b"session/new",
    b"sessions/new",
];

/// More of an address is not read.
const MOST: usize = 1024;

/// Whether a redirection leads to a login. The request's own host says nothing:
/// `login.example.org` redirects to itself for many reasons.
pub(super) fn leads_to_login(location: &[u8], host: &str) -> bool {
    says_login(beyond(location, host))
}

/// Whether a text speaks of logging in, as addresses do.
pub(super) fn says_login(address: &[u8]) -> bool {
    let address = address.get(..MOST).unwrap_or(address);
    let is_letter = |at: Option<usize>| {
        at.and_then(|at| address.get(at))
            .is_some_and(u8::is_ascii_alphabetic)
    };
    (0..address.len()).any(|at| {
        let rest = address.get(at..).unwrap_or_default();
        let stands = |part: &[u8]| {
            rest.get(..part.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(part))
        };
        let before = is_letter(at.checked_sub(1));
        let after = |part: &[u8]| is_letter(at.checked_add(part.len()));
        PARTS
            .iter()
            .any(|part| stands(part) && !(before && after(part)))
            || !before && WORDS.iter().any(|word| stands(word) && !after(word))
    })
}

/// What follows `https://host` where this is the host; all of it otherwise.
fn beyond<'a>(location: &'a [u8], host: &str) -> &'a [u8] {
    let schemes: [&[u8]; 3] = [b"https://", b"http://", b"//"];
    let whole = |scheme: &&[u8]| {
        location
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let Some(scheme) = schemes.iter().find(|scheme| whole(scheme)) else {
        return location;
    };
    let rest = location.get(scheme.len()..).unwrap_or_default();
    match rest.split_at_checked(host.len()) {
        Some((named, path)) if named.eq_ignore_ascii_case(host.as_bytes()) => path,
        _ => location,
    }
}

/// What a request asks for, as far as it may be answered differently: applications deny one kind
/// and give another at the same address. All browsers' ways to ask for a page are one kind, and
/// all that leave the choice to the server; everything else is a kind of its own.
pub(super) fn kind_of_accept(accept: &[u8]) -> &[u8] {
    let is_page = || {
        let rest = accept.strip_prefix(b"text/html");
        // with a weight of its own, or beside JSON, an application may read it as it likes
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b',')))
            && !accept
                .windows(4)
                .any(|part| part.eq_ignore_ascii_case(b"json"))
    };
    if is_page() {
        b"text/html"
    } else if accept == b"*/*" {
        b""
    } else {
        accept
    }
}
