//! Go's regular expressions mean here what they mean there.

use expr::go_regex::{compile, compile_set, is_match, translate};

#[test]
fn patterns_match_as_in_go() {
    let rows: &[(&str, &[u8], bool)] = &[
        (r"^\d+$", b"123", true),
        (r"^\d+$", "١٢٣".as_bytes(), false),
        (r"^\w+$", "grün".as_bytes(), false),
        (r"\bfoo\b", b"a foo b", true),
        (r"\bfoo\b", "üfoo".as_bytes(), true),
        (r"^\s$", b"\x0b", false),
        (r"^\s$", "\u{a0}".as_bytes(), false),
        (r"^[\w-.]+$", b"a-b.c", true),
        (r"^[a-z\d_-]+$", b"a-9_", true),
        (r"^[[a]+$", b"[a[", true),
        (r"^[a&&b]+$", b"a&b", true),
        (r"^[]a]+$", b"]a", true),
        (r"^[^]a]+$", b"bc", true),
        (r"^[\]\-\\]+$", b"]-\\", true),
        (r"^[[:alpha:]_]+$", b"ab_", true),
        (r"^[[:^alpha:]]+$", b"12", true),
        (r"^{a}$", b"{a}", true),
        (r"${jndi:", b"", false),
        (r"\$\{jndi:", b"x ${jndi:ldap", true),
        (r"^a{2}$", b"aa", true),
        (r"^a{2,}$", b"aaaa", true),
        (r"^a{,2}$", b"a{,2}", true),
        (r"^a{x}$", b"a{x}", true),
        (r"^\Qa.b\E$", b"a.b", true),
        (r"^\Qa.b\E$", b"axb", false),
        (r"^(?P<x>a)(?i:B)$", b"ab", true),
        (r"(?i)ünïcode", "ÜNÏCODE".as_bytes(), true),
        (r"^a.c$", b"a\xffc", true),
        (r"^a.c$", b"a\nc", false),
        (r"(?s)^a.c$", b"a\nc", true),
        (r"^[^x]$", b"\xff", true),
        (r"^\x41\x{42}\103$", b"ABC", true),
        (r"^\pL\p{Greek}$", "äα".as_bytes(), true),
        (r"^[\pL\d]+$", "ä1".as_bytes(), true),
        (r"a$", b"a\n", false),
        (r"(?m)a$", b"a\n", true),
        (r"^\/x\.y\~$", b"/x.y~", true),
        (r"<b>\<", b"<b><", true),
        (r"^[<>]+$", b"<>", true),
        (r"^[\x00-\x1f]$", b"\x07", true),
    ];
    for (pattern, text, expected) in rows {
        let regex = compile(pattern.as_bytes()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(
            is_match(&regex, text),
            *expected,
            "{pattern} on {}",
            text.escape_ascii()
        );
    }
}

#[test]
fn what_re2_refuses_is_refused() {
    for pattern in [
        r"(",
        r"[a",
        r"a\",
        r"(?=x)",
        r"(?<!x)",
        r"(a)\1",
        r"\y",
        r"a{2,1}",
        r"[z-a]",
        r"*a",
        r"(?P<1>a)",
    ] {
        assert!(compile(pattern.as_bytes()).is_err(), "DENY {pattern}");
    }
    assert!(compile(b"\xff").is_err(), "DENY a pattern that is no UTF-8");
}

#[test]
fn large_patterns_are_refused() {
    assert!(
        compile("a".repeat(70_000).as_bytes()).is_err(),
        "DENY length"
    );
    assert!(compile("(".repeat(1_000).as_bytes()).is_err(), "DENY open");
    let nested = format!("{}a{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(compile(nested.as_bytes()).is_err(), "DENY nesting");
    assert!(compile(b"(((a{1000}){1000}){1000})").is_err(), "DENY size");
}

#[test]
fn sets_answer_for_all_patterns() {
    let set = compile_set([&b"^curl/"[..], b"(?i)nikto"]).unwrap();
    assert!(set.is_match(b"Mozilla Nikto"));
    assert!(!set.is_match(b"Mozilla"));
    assert!(compile_set([&b"ok"[..], b"("]).is_err());
}

#[test]
fn translation_never_panics_and_what_it_gives_is_readable() {
    let alphabet = [
        "\\", "[", "]", "{", "}", "(", ")", "^", "-", "d", "Q", "E", "x", "p", "{1}", "[:", ":]",
        "ü", "0", "1", "?", "*", "&&",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut pattern = String::new();
        for _ in 0..state % 9 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            pattern.push_str(alphabet[usize::try_from(state % 23).unwrap()]);
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if translate(pattern.as_bytes()).is_ok() {
            drop(compile(pattern.as_bytes()));
        }
    }
}
