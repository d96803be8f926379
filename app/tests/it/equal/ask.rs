//! The requests: what browsers, applications and attackers send, and what neither does.

/// One request.
pub(crate) struct Ask {
    /// What it is about; unique.
    pub(crate) name: String,
    /// Its bytes; the connection ends with it.
    pub(crate) bytes: Vec<u8>,
    /// Whether it comes over IPv6.
    pub(crate) six: bool,
}

fn ask(name: String, line: &[u8], headers: &[(&str, &[u8])], body: &[u8]) -> Ask {
    let mut bytes = line.to_vec();
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    let six = false;
    Ask { name, bytes, six }
}

const HOST: (&str, &[u8]) = ("Host", b"shop.example");
const AGENT: (&str, &[u8]) = (
    "User-Agent",
    b"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
);

pub(crate) fn all() -> Vec<Ask> {
    let mut all = Vec::new();
    for target in TARGETS {
        let line = [b"GET ", *target, b" HTTP/1.1"].concat();
        let name = format!("target {}", target.escape_ascii());
        all.push(ask(name, &line, &[HOST, AGENT], b""));
    }
    for ending in ENDINGS.split(' ') {
        let line = format!("GET /static/a.{ending}?v=1 HTTP/1.1");
        all.push(ask(
            format!("ending {ending}"),
            line.as_bytes(),
            &[HOST, AGENT],
            b"",
        ));
    }
    for (field, values) in [("User-Agent", AGENTS), ("Referer", REFERERS)] {
        for value in values {
            let name = format!("{field} {}", value.escape_ascii());
            let headers = [HOST, (field, *value), ("X-Answer", b"404".as_slice())];
            all.push(ask(name, b"GET /a.php HTTP/1.1", &headers, b""));
        }
    }
    all.extend(methods());
    all.extend(answers());
    all.extend(odd());
    for target in ["/", "/a/b.css?c", "/.env"] {
        let line = format!("GET {target} HTTP/1.1");
        let name = format!("over IPv6 {target}");
        let mut six = ask(name, line.as_bytes(), &[HOST, AGENT], b"");
        six.six = true;
        all.push(six);
    }
    all
}

fn methods() -> Vec<Ask> {
    let bare = "GET HEAD OPTIONS DELETE PROPFIND MKCOL COPY MOVE LOCK UNLOCK TRACE get FOO M-SEARCH X_Y A.B";
    let bare = bare.split(' ').map(|method| {
        let line = format!("{method} /dav/a HTTP/1.1");
        ask(
            format!("method {method}"),
            line.as_bytes(),
            &[HOST, AGENT],
            b"",
        )
    });
    let full = ["POST", "PUT", "PATCH", "REPORT"]
        .into_iter()
        .map(|method| {
            let line = format!("{method} /api/login HTTP/1.1");
            let length: (&str, &[u8]) = ("Content-Length", b"5");
            let status: (&str, &[u8]) = ("X-Answer", b"401");
            ask(
                format!("method {method}"),
                line.as_bytes(),
                &[HOST, AGENT, length, status],
                b"a=b&c",
            )
        });
    bare.chain(full).collect()
}

fn answers() -> Vec<Ask> {
    let mut all = Vec::new();
    for status in "200 201 204 206 301 302 303 304 307 308 400 401 403 404 405 410 416 418 429 500 502 503 504".split(' ') {
        for (method, length) in [("GET", "0"), ("HEAD", "1234"), ("GET", "100000")] {
            let line = format!("{method} /answer HTTP/1.1");
            let headers = [
                HOST,
                AGENT,
                ("X-Answer", status.as_bytes()),
                ("X-Length", length.as_bytes()),
            ];
            let name = format!("{method} answered {status} with {length}");
            all.push(ask(name, line.as_bytes(), &headers, b""));
        }
    }
    for length in ["1", "70000"] {
        let headers = [
            HOST,
            AGENT,
            ("X-Chunked", b"1".as_slice()),
            ("X-Length", length.as_bytes()),
        ];
        all.push(ask(
            format!("streamed {length}"),
            b"GET /stream HTTP/1.1",
            &headers,
            b"",
        ));
    }
    all
}

fn odd() -> Vec<Ask> {
    let of = |name: &str, line: &[u8], headers: &[(&str, &[u8])]| {
        ask(name.to_owned(), line, headers, b"")
    };
    let long = [
        b"GET /",
        &b"a".repeat(3000)[..],
        b"?",
        &b"b=c&".repeat(900)[..],
        b" HTTP/1.1",
    ]
    .concat();
    let basic: (&str, &[u8]) = ("Authorization", b"Basic YWRhOnNlY3JldA==");
    vec![
        of("1.0 without host", b"GET /old HTTP/1.0", &[AGENT]),
        of("1.0 with host", b"GET /old HTTP/1.0", &[HOST, AGENT]),
        of("1.1 without host", b"GET /old HTTP/1.1", &[AGENT]),
        of("0.9", b"GET /old", &[]),
        of("1.2", b"GET /old HTTP/1.2", &[HOST, AGENT]),
        of("nothing said", b"GET / HTTP/1.1", &[HOST]),
        of(
            "basic auth",
            b"GET /private HTTP/1.1",
            &[HOST, AGENT, basic],
        ),
        of("long", &long, &[HOST, AGENT]),
        of("asterisk", b"OPTIONS * HTTP/1.1", &[HOST, AGENT]),
        of(
            "connect",
            b"CONNECT shop.example:443 HTTP/1.1",
            &[HOST, AGENT],
        ),
        of(
            "two agents",
            b"GET / HTTP/1.1",
            &[HOST, AGENT, ("User-Agent", b"second")],
        ),
        of(
            "two referers",
            b"GET / HTTP/1.1",
            &[HOST, AGENT, ("Referer", b"/a"), ("Referer", b"/b")],
        ),
        of(
            "host with port",
            b"GET / HTTP/1.1",
            &[("Host", b"shop.example:8080"), AGENT],
        ),
        of(
            "host is an address",
            b"GET / HTTP/1.1",
            &[("Host", b"192.0.2.1"), AGENT],
        ),
        of(
            "claims another client",
            b"GET / HTTP/1.1",
            &[HOST, AGENT, ("X-Forwarded-For", b"203.0.113.9")],
        ),
        of("space in target", b"GET /a b HTTP/1.1", &[HOST, AGENT]),
        of("lower-case version", b"GET / http/1.1", &[HOST, AGENT]),
        of(
            "both lengths",
            b"POST / HTTP/1.1",
            &[
                HOST,
                AGENT,
                ("Content-Length", b"0"),
                ("Transfer-Encoding", b"chunked"),
            ],
        ),
    ]
}

const ENDINGS: &str = "jpg css js jpeg png svg map ico otf gif mp3 mp4 woff woff2 ttf eot webp wav gz brotli bvr ts bmp avif mjs \
                       JPG Css html php txt json xml pdf zip tar.gz br woff22 j";

const AGENTS: &[&[u8]] = &[
    b"",
    b" ",
    b"-",
    b"curl/7.88.1",
    b"sqlmap/1.7.2#stable (https://sqlmap.org)",
    b"Mozilla/5.00 (Nikto/2.1.5) (Evasions:None) (Test:Port Check)",
    b"\"Mozilla/5.0\"",
    b"back\\slash",
    b"\\x22typed",
    b"caf\xe9",
    "h\u{e9}\u{4e2d}\u{202e}".as_bytes(),
    b"tab\tinside",
    b"  spaces around  ",
    b"${jndi:ldap://a/b}",
    b"() { :;}; echo",
    b"<script>alert(1)</script>",
    b"a' or '1'='1",
    b"[bracket] | pipe",
    b"100%",
];

const REFERERS: &[&[u8]] = &[
    b"",
    b"-",
    b"http://shop.example/",
    b"https://search.example/?q=%22tea%22+maps",
    b"/relative",
    b"\"quoted\"",
    b"caf\xe9",
    b"x' and 1=1 --",
];

const TARGETS: &[&[u8]] = &[
    b"/",
    b"/index.html",
    b"/a/b/c.PNG",
    b"/a/b/",
    b"/a?x=1",
    b"/a?x=1?y=2",
    b"/a/?",
    b"/?",
    b"/??",
    b"/a?",
    b"/a?b",
    b"/a?b=",
    b"/a?=b",
    b"/a?&&",
    b"/?x=/y/z.css",
    b"/.env",
    b"/.git/config",
    b"/a/.git/HEAD",
    b"/a..b",
    b"/a.",
    b"/a.b.",
    b"/.",
    b"/..",
    b"/...",
    b"/./a",
    b"/a/./b",
    b"/a/../b",
    b"/../../etc/passwd",
    b"/%2e%2e/%2E%2E/etc/passwd",
    b"/cgi-bin/.%2e/.%2e/bin/sh",
    b"/a%2fb",
    b"/a%5cb",
    b"/a%00b",
    b"/a%0d%0ab",
    b"/a%",
    b"/a%zz",
    b"/a%u0041",
    b"/%252e%252e/",
    b"//",
    b"//a//b",
    b"///",
    b"/a//",
    b"//evil.example/a",
    b"/a;b=c/d.mjs",
    b"/a;jsessionid=1?x",
    b"/a:b",
    b"/a@b",
    b"/a,b",
    b"/a+b",
    b"/a'or'1",
    b"/a\"b",
    b"/a\\b",
    b"/..\\..\\windows\\win.ini",
    b"/index/\\think\\app/invokefunction?function=call_user_func_array&vars",
    b"/a|b",
    b"/a{b}",
    b"/a[b]",
    b"/a<b>",
    b"/a^b",
    b"/a`b",
    b"/a~b",
    b"/a$b",
    b"/a*b",
    b"/a(b)",
    b"/a=b",
    b"/a&b",
    b"/a!b",
    b"/a#b",
    b"/#",
    b"/caf\xe9",
    b"/caf\xc3\xa9.jpg",
    b"/\xff\xfe",
    b"/a\x7fb",
    b"/a\\x5Cb",
    b"/x.php?q=1%20union%20select%201",
    b"/x.php?q=%24%7Bjndi:ldap",
    b"/x.php?q=${jndi:ldap://a}",
    b"/x.php?q=<script>",
    b"/x.php?q=\"'`",
    b"/x.php?u=http://other.example/y?z",
    b"/wp-login.php",
    b"/wp-content/plugins/a/readme.txt",
    b"/c99.php",
    b"/phpmyadmin/index.php",
    b"/w00tw00t.at.ISC.SANS.DFind:)",
    b"/a.tar.gz",
    b"/a.b/c",
    b"/.js",
    b"/a/.css",
    b"/favicon.ico",
    b"/x.woff2?h=1",
    b"http://shop.example/x.js",
    b"http://shop.example",
    b"http://shop.example?q",
    b"HTTP://SHOP.EXAMPLE/a",
    b"https://shop.example/a/b.png?c",
    b"http://other.example/x",
    b"ftp://shop.example/x",
    b"no-slash",
    b"*",
    b"shop.example:443",
    b"?",
];
