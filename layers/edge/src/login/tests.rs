use super::*;

/// What was read, as `account:password`, with bars where there is more than one.
fn shown(attempt: Option<Attempt>) -> Option<String> {
    let attempt = attempt?;
    let all = |texts: &BTreeSet<Vec<u8>>| {
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
        texts.collect::<Vec<_>>().join("|")
    };
    let password = match attempt.passwords.is_empty() {
        true => "-".to_owned(),
        false => all(&attempt.passwords),
    };
    Some(format!("{}:{password}", all(&attempt.accounts)))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of forms")]
fn forms_of_known_applications_tell_whom_somebody_tries_to_be() {
    let cases = [
        (
            "wordpress",
            "log=Admin&pwd=x%26y&wp-submit=Log+In&testcookie=1",
            Some("admin:x&y"),
        ),
        (
            "dokuwiki",
            "sectok=1&id=start&do=login&u=anna&p=sun+shine",
            Some("anna:sun shine"),
        ),
        (
            "mediawiki",
            "wpName=Anna+B&wpPassword=geheim&wploginattempt=Log+in",
            Some("anna b:geheim"),
        ),
        (
            "roundcube",
            "_task=login&_action=login&_user=anna%40example.org&_pass=x",
            Some("anna@example.org:x"),
        ),
        (
            "phpmyadmin",
            "pma_username=root&pma_password=toor&server=1",
            Some("root:toor"),
        ),
        (
            "rails",
            "session%5Busername_or_email%5D=anna&session%5Bpassword%5D=x",
            Some("anna:x"),
        ),
        (
            "devise",
            "user[email]=A%40B.example&user[password]=x",
            Some("a@b.example:x"),
        ),
        ("spring", "j_username=anna&j_password=x", Some("anna:x")),
        (
            "symfony",
            "_username=anna&_password=x&_csrf_token=abc",
            Some("anna:x"),
        ),
        (
            "a button called login",
            "login=Sign+in&username=anna&password=x",
            Some("anna|sign in:x"),
        ),
        ("space around", "user=+Anna%20%09&pass=x", Some("anna:x")),
        (
            "another alphabet",
            "user=%D0%90%D0%9D%D0%9D%D0%90&pass=x",
            Some("анна:x"),
        ),
        (
            "no password",
            "email=anna%40example.org",
            Some("anna@example.org:-"),
        ),
        (
            "a broken escape",
            "user=an%zzna&pass=100%",
            Some("an%zzna:100%"),
        ),
        (
            "bytes that are no text",
            "user=%ff%fe&pass=x",
            Some("\u{fffd}\u{fffd}:x"),
        ),
        (
            "one name said twice",
            "user=Anna&username=anna+&pass=x",
            Some("anna:x"),
        ),
        (
            "two names, in any order",
            "user=bert&user=anna&pass=x",
            Some("anna|bert:x"),
        ),
        (
            "a decoy beside WordPress's own",
            "username=x&password=y&log=admin&pwd=guess",
            Some("admin|x:guess|y"),
        ),
        ("DENY nobody", "user=&pass=x", None),
        ("DENY only space", "user=%20&pass=x", None),
        ("DENY something else", "q=login&page=2", None),
        ("DENY no form", "{\"user\":\"anna\"}", None),
        ("DENY nothing", "", None),
    ];
    for (what, body, expected) in cases {
        assert_eq!(
            shown(form(body.as_bytes(), true)).as_deref(),
            expected,
            "{what}"
        );
    }
    let long = format!("user={}&pass=x", "a".repeat(LONGEST + 1));
    assert_eq!(shown(form(long.as_bytes(), true)), None, "DENY too long");
    let late = format!("{}user=anna&pass=x", "a=b&".repeat(FIELDS));
    assert_eq!(
        shown(form(late.as_bytes(), true)),
        None,
        "DENY behind too many fields"
    );
}

#[test]
fn json_tells_whom_somebody_tries_to_be() {
    let cases = [
        (r#"{"username":"Anna","password":"x"}"#, Some("anna:x")),
        (r#"{ "Username" : "anna" , "Pw" : "x" }"#, Some("anna:x")),
        (
            r#"{"user":{"email":"a@b.example","password":"x\"y\\z"}}"#,
            Some("a@b.example:x\"y\\z"),
        ),
        (r#"[{"login":"anna"},{"password":"x"}]"#, Some("anna:x")),
        (
            r#"{"user":"\u0061nna","password":"\ud83d\ude00"}"#,
            Some("anna:😀"),
        ),
        (r#"{"user":"anna","password":12345}"#, Some("anna:-")),
        (
            r#"{"remember":true,"user":"anna","password":"a,b:c"}"#,
            Some("anna:a,b:c"),
        ),
        (r#"{"user":["x","y"],"login":"anna"}"#, Some("anna:-")),
        (r#"{"user":null,"login":"anna"}"#, Some("anna:-")),
        (
            r#"{"password":"y","user":"x","login":"anna","pwd":"guess"}"#,
            Some("anna|x:guess|y"),
        ),
        (r#"{"user":"\ud83dx","password":"x"}"#, Some("\u{fffd}x:x")),
        (r#"{"query":"user","password":"x"}"#, None),
        (r#"["user","anna"]"#, None),
        (r#"{"user":"an"#, None),
        (r#"{"user":"an\"#, None),
        (r#"{"user":"an\u00"#, None),
        ("", None),
    ];
    for (body, expected) in cases {
        assert_eq!(shown(json(body.as_bytes())).as_deref(), expected, "{body}");
    }
}

#[test]
fn basic_credentials_tell_whom_somebody_tries_to_be() {
    let cases = [
        (
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            Some("aladdin:open sesame"),
        ),
        (
            "basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            Some("aladdin:open sesame"),
        ),
        ("Basic YW5uYTo=", Some("anna:-")),
        ("Basic YW5uYTphOmI=", Some("anna:a:b")),
        ("Basic OmE=", None),
        ("Basic YW5uYQ==", None),
        ("Basic !!!!", None),
        ("Basic", None),
        ("Basic ", None),
        ("Basic ====", None),
        ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
    ];
    for (header, expected) in cases {
        assert_eq!(
            shown(basic(header.as_bytes())).as_deref(),
            expected,
            "{header}"
        );
    }
}

#[test]
fn what_may_be_cut_off_is_not_taken_for_whole() {
    let body = b"a=1&username=anna&password=sunshine";
    for end in 0..body.len() {
        let read = shown(form(&body[..end], false));
        let expected = (end > b"a=1&username=anna".len()).then(|| "anna:-".to_owned());
        assert_eq!(read, expected, "after {end} bytes");
    }
    assert_eq!(shown(form(body, true)).as_deref(), Some("anna:sunshine"));
    let body = br#"{"username":"anna","password":"sunshine"}"#;
    for end in 0..body.len() {
        let read = shown(json(&body[..end]));
        let whole = |text: &str| text == "anna:-" || text == "anna:sunshine";
        assert!(
            read.as_deref().is_none_or(whole),
            "after {end} bytes: {read:?}"
        );
    }
}

#[test]
fn no_bytes_make_it_fall() {
    let seeds: [&[u8]; 4] = [
        b"log=admin&pwd=x%26y&user[%5b]=%&=&&+",
        br#"{"user":{"email":"a\u0040b\ud83d\ude00\\","password":"x"},"n":[1,2,{"p":"q"}]}"#,
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        b"\"\\u\"\\\"::[[]]\"user\":\"\\ud83d\\u",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..60_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=next() % 4 {
            let at = usize::try_from(next()).unwrap() % bytes.len();
            match next() % 3 {
                0 => bytes[at] = next().to_le_bytes()[0],
                1 => bytes.truncate(at + 1),
                _ => bytes.insert(
                    at,
                    b"\"\\%&=[]{}:,u_"[usize::try_from(next()).unwrap() % 13],
                ),
            }
        }
        for attempt in [form(&bytes, round % 2 == 0), json(&bytes), basic(&bytes)] {
            assert!(attempt.is_none_or(|attempt| {
                !attempt.accounts.is_empty()
                    && attempt.accounts.len() <= FIELDS
                    && attempt.accounts.iter().all(|one| one.len() <= LONGEST)
            }));
        }
    }
}

#[test]
fn what_is_told_is_keyed_and_tells_guesses_apart() {
    let secret = std::collections::hash_map::RandomState::new();
    let other = std::collections::hash_map::RandomState::new();
    let told = |body: &str, by, secret| form(body.as_bytes(), true).unwrap().told(by, secret);
    let one = told("user=anna&pass=x", LoginBy::Form, &secret);
    assert_eq!(one, told("user=+ANNA+&pass=x", LoginBy::Form, &secret));
    assert_eq!(
        one.account,
        told("user=anna&pass=x", LoginBy::Basic, &secret).account
    );
    assert_ne!(
        one.guess,
        told("user=anna&pass=y", LoginBy::Form, &secret).guess
    );
    assert_ne!(
        one.account,
        told("user=bert&pass=x", LoginBy::Form, &secret).account
    );
    assert_ne!(
        one.account,
        told("user=anna&pass=x", LoginBy::Form, &other).account
    );
    assert!(one.guess.unwrap() < 1 << 24);
}

#[test]
fn a_decoy_hides_no_guess_and_one_that_stays_hides_no_account() {
    let secret = std::collections::hash_map::RandomState::new();
    let told = |body: &str| {
        let attempt = form(body.as_bytes(), true).unwrap();
        attempt.told(LoginBy::Form, &secret)
    };
    let one = told("username=x&password=x&log=admin&pwd=one");
    let two = told("username=x&password=x&log=admin&pwd=two");
    assert_eq!(one.account, two.account);
    assert_ne!(one.guess, two.guess, "DENY a decoy hides the guess");
    // The order of fields makes no new account, and what stands next to what does.
    assert_eq!(one, told("pwd=one&log=admin&password=x&username=x"));
    assert_ne!(
        told("user=ab&login=c&pass=x").account,
        told("user=a&login=bc&pass=x").account
    );
}

#[test]
fn only_forms_and_json_at_places_that_speak_of_logging_in_are_looked_at() {
    for (text, expected) in [
        ("application/x-www-form-urlencoded", Some(Shape::Form)),
        (
            "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
            Some(Shape::Form),
        ),
        ("application/json", Some(Shape::Json)),
        ("application/vnd.api+json; v=1", Some(Shape::Json)),
        ("multipart/form-data; boundary=x", None),
        ("application/octet-stream", None),
        ("+json", None),
        ("", None),
    ] {
        assert_eq!(shape(text.as_bytes()), expected, "{text}");
    }
    for place in [
        "/wp-login.php",
        "/user/Login",
        "/index.php?title=Special:UserLogin",
        "/?_task=login",
        "/identity/connect/token",
        "/jellyfin/users/AuthenticateByName",
        "/api/session",
        "/phpmyadmin/index.php?route=/",
        "/sign_in",
        "/xmlrpc.php",
    ] {
        assert!(speaks_of_login(place.as_bytes()), "{place}");
    }
    for place in ["/", "/upload", "/search?q=x", "/api/items", "/comment/post"] {
        assert!(!speaks_of_login(place.as_bytes()), "DENY {place}");
    }
}
