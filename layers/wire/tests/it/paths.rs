//! The path that routing and rules read.

use wire::{PathFlags, normal_path};

#[test]
fn paths_are_normalised_and_their_tricks_named() {
    let none = PathFlags::NONE;
    let rows: &[(&str, &str, PathFlags, bool)] = &[
        ("/", "/", none, false),
        ("/a/b.c", "/a/b.c", none, false),
        ("*", "*", none, false),
        ("/a%20b", "/a b", none, false),
        ("/%61dmin", "/admin", none, false),
        ("/a;v=1/b", "/a;v=1/b", none, false),
        ("/caf%C3%A9", "/caf\u{e9}", none, false),
        ("//a///b/", "/a/b/", PathFlags::DOUBLE_SLASH, false),
        ("/a/./b", "/a/b", PathFlags::DOTS, false),
        ("/a/../b", "/b", PathFlags::DOTS, false),
        ("/a/b/..", "/a/", PathFlags::DOTS, false),
        ("/a/.", "/a/", PathFlags::DOTS, false),
        ("/.git/config", "/.git/config", none, false),
        ("/a/...", "/a/...", none, false),
        ("/../etc/passwd", "/etc/passwd", PathFlags::CLIMBS, true),
        ("/a/../../b", "/b", PathFlags::CLIMBS, true),
        ("/a/%2e%2E/b", "/b", PathFlags::ENCODED_DOTS, true),
        ("/a/.%2e/b", "/b", PathFlags::ENCODED_DOTS, true),
        ("/a%2f..%2Fb", "/b", PathFlags::ENCODED_SLASH, true),
        ("/a%2fb", "/a/b", PathFlags::ENCODED_SLASH, false),
        (
            "/api/v4/projects/group%2Fproject",
            "/api/v4/projects/group/project",
            PathFlags::ENCODED_SLASH,
            false,
        ),
        ("/caf\u{e9}", "/caf\u{e9}", none, false),
        ("/a%2f../b", "/b", PathFlags::DOTS, true),
        ("/a\\..\\b", "/b", PathFlags::BACKSLASH, true),
        ("/a%5cb", "/a/b", PathFlags::BACKSLASH, false),
        (
            "/%252e%252e/a",
            "/%2e%2e/a",
            PathFlags::DISGUISED_DOTS,
            true,
        ),
        (
            "/..%252f..%252fetc",
            "/..%2f..%2fetc",
            PathFlags::DISGUISED_DOTS,
            true,
        ),
        ("/a%252fb", "/a%2fb", PathFlags::DOUBLE_ENCODED, false),
        ("/100%25", "/100%", none, false),
        ("/a%zz", "/a%zz", PathFlags::BAD_PERCENT, false),
        ("/a%zz/../b", "/b", PathFlags::BAD_PERCENT, true),
        ("/a%2", "/a%2", PathFlags::BAD_PERCENT, false),
        ("/a%", "/a%", PathFlags::BAD_PERCENT, false),
        ("/a%00.jpg", "/a\0.jpg", PathFlags::CONTROL, true),
        ("/a/..;/b", "/b", PathFlags::DOT_PARAMETER, true),
        ("/a/..;x=1/b", "/b", PathFlags::DOT_PARAMETER, true),
    ];
    for (path, normal, flag, ambiguous) in rows {
        let (got, flags) = normal_path(path.as_bytes());
        assert_eq!(
            got.escape_ascii().to_string(),
            normal.as_bytes().escape_ascii().to_string(),
            "{path}"
        );
        assert_eq!(flags.ambiguous_path(), *ambiguous, "{path} {flags:?}");
        assert!(*flag == none || flags.any(*flag), "{path} {flags:?}");
    }
    for disguised in [&b"/%c0%ae%c0%ae/"[..], b"/..%c0%af..", b"/%e0%80%ae/"] {
        let (_, flags) = normal_path(disguised);
        assert!(
            flags.any(PathFlags::NOT_UTF8) && flags.ambiguous_path(),
            "{disguised:?}"
        );
    }
    let (_, latin) = normal_path(b"/caf%E9/men%FC");
    assert!(latin.any(PathFlags::NOT_UTF8) && !latin.ambiguous_path());
}

#[test]
fn a_normal_path_is_normal() {
    for path in [
        "/a/../../b//c/./",
        "/%2e%2e/x;y/",
        "/a\\b/..;/c",
        "//",
        "/..",
        "/a/b/../..",
    ] {
        let (once, _) = normal_path(path.as_bytes());
        let (twice, flags) = normal_path(&once);
        assert_eq!(once, twice, "{path}");
        assert!(!flags.ambiguous_path());
        assert!(once.starts_with(b"/"), "{path}");
    }
}
