//! What ordinary visitors and programs do. Nothing of it may raise an alert.

use super::Case;

pub(super) fn cases() -> Vec<(&'static str, Case)> {
    let mut cases = people();
    cases.extend(like_attacks());
    cases.extend(programs());
    cases.extend(fetchers());
    cases.extend(applications());
    cases
}

/// What looks like an attack at first sight.
fn like_attacks() -> Vec<(&'static str, Case)> {
    vec![
        (
            "queries whose values have bars and semicolons between them",
            [
                "/gitweb/?p=tea.git;a=summary;id=HEAD",
                "/gitweb/?p=tea.git;a=log;h=refs/heads/set;id=2",
                "/w/api.php?action=query&titles=Cat|Sleep|Ping|Echo&prop=info|id|env",
                "/w/api.php?action=query&list=users&usprop=groups|id|set",
                "/list?set&id&ver=2",
                "/shop?size=m;colour=red;set=1;ver=2;type=tea",
                "/report?from=1&env=test&id=4&dir=asc",
                "/chart?q=sum(rate(x[5m]))%20%3E%201%3B%20echo",
            ]
            .into_iter()
            .fold(Case::default(), |case, target| case.get(1.0, target, 200)),
        ),
        (
            "a reader who follows old links to a forum that is gone",
            [
                "index.php",
                "showthread.php?t=7",
                "memberlist.php",
                "usercp.php",
                "login.php",
                "newreply.php?t=7",
                "faq.php",
                "calendar.php",
                "misc.php",
                "register.php",
            ]
            .into_iter()
            .fold(Case::default(), |case, name| {
                case.get(4.0, format!("/forum/{name}"), 404)
            }),
        ),
        (
            "an application on a phone that looks for WordPress",
            Case::agent("wp-android/25.1 (Android 15)")
                .get(0.0, "/", 200)
                .post(0.5, "/xmlrpc.php", 404)
                .get(0.5, "/xmlrpc.php?rsd", 404)
                .get(0.5, "/wp-login.php", 404)
                .get(0.5, "/wp-json/", 404),
        ),
        (
            "somebody who types a command into a search that looks with every letter",
            [
                "cat+file+|+grep",
                "ls;+c",
                "ls;+ca",
                "ls;+cat",
                "ls;+cat+f",
                "ls;+cat+fi",
                "ls;+cat+fil",
                "echo+$(d",
                "echo+$(da",
                "echo+$(dat",
                "echo+$(date",
                "a+&&+b",
                "a+&&+ba",
                "a+&&+bas",
                "a+&&+bash+s",
                "a+&&+bash+sc",
                "print(",
                "print('h",
                "print('he",
                "eval(x",
                "system(\"l",
            ]
            .into_iter()
            .fold(Case::default(), |case, words| {
                case.get(0.3, format!("/find?q={words}"), 200)
            }),
        ),
    ]
}

fn people() -> Vec<(&'static str, Case)> {
    vec![
        ("a WordPress author at work", wordpress()),
        ("a DokuWiki editor at work", dokuwiki()),
        ("a visitor without favicons", missing_icons()),
        ("somebody who mistypes a password", mistyped_password()),
        ("somebody who searches letter by letter", searching()),
        (
            "an office behind one address that logs in at nine",
            office(),
        ),
        ("somebody who browses code", code_host()),
        (
            "somebody who reads on and on",
            Case::default().times(200, |case, page| {
                case.get(4.0, format!("/article/{page}"), 200).assets()
            }),
        ),
        (
            "somebody who opens twenty tabs",
            Case::default().times(20, |case, page| {
                case.get(0.1, format!("/article/{page}?ref=list"), 200)
                    .assets()
            }),
        ),
        (
            "a page whose pictures are gone",
            Case::default()
                .referer("https://www.example.org/album")
                .times(40, |case, picture| {
                    case.get(0.02, format!("/photo/{picture}"), 404)
                }),
        ),
        (
            "somebody who asks a wiki about Unix",
            Case::default()
                .get(1.0, "/wiki/start?do=search&q=/etc/passwd", 200)
                .get(20.0, "/wiki/start?do=search&q=%2Fetc%2Fpasswd", 200)
                .get(30.0, "/wiki/sql?q=union+select", 200)
                .get(30.0, "/wiki/html?q=%3Cscript%3E", 200),
        ),
    ]
}

fn wordpress() -> Case {
    Case::default()
        .get(0.0, "/", 200)
        .assets()
        .get(2.0, "/wp-login.php", 200)
        .assets()
        .post(5.0, "/wp-login.php", 302)
        .get(0.2, "/wp-admin/", 200)
        .times(30, |case, asset| {
            case.get(
                0.01,
                format!("/wp-includes/js/part{asset}.min.js?ver=6.8"),
                200,
            )
        })
        .times(60, |case, _| {
            case.post(10.0, "/wp-admin/admin-ajax.php", 200)
        })
        .times(80, |case, block| {
            case.get(
                0.1,
                format!("/wp-json/wp/v2/blocks/{block}?context=edit"),
                200,
            )
        })
        .times(25, |case, post| {
            case.post(
                1.0,
                format!("/wp-json/wp/v2/posts/{post}/autosaves?_locale=user"),
                200,
            )
        })
        .times(20, |case, _| {
            case.post(20.0, "/wp-cron.php?doing_wp_cron=1763800000.12", 200)
        })
        .get(1.0, "/wp-admin/post.php?post=12&action=edit", 200)
        .get(
            1.0,
            "/wp-admin/load-styles.php?c=0&dir=ltr&load%5Bchunk_0%5D=dashicons,admin-bar",
            200,
        )
        .get(1.0, "/?s=select+a+theme", 200)
        .get(1.0, "/?p=12&preview=true", 200)
}

fn dokuwiki() -> Case {
    Case::default()
        .get(0.0, "/doku.php?id=start", 200)
        .get(0.1, "/lib/exe/css.php?t=dokuwiki&tseed=1", 200)
        .get(0.1, "/lib/exe/js.php?t=dokuwiki&tseed=1", 200)
        .get(3.0, "/doku.php?id=start&do=login", 200)
        .post(8.0, "/doku.php?id=start&do=login", 200)
        .post(8.0, "/doku.php?id=start&do=login", 302)
        .times(30, |case, page| {
            case.get(2.0, format!("/doku.php?id=wiki:page{page}"), 200)
                .get(0.1, "/lib/exe/css.php?t=dokuwiki&tseed=1", 304)
        })
        .times(40, |case, media| {
            case.get(
                0.05,
                format!("/lib/exe/fetch.php?w=200&tok={media}a&media=picture{media}.png"),
                200,
            )
        })
        .times(60, |case, _| case.post(5.0, "/lib/exe/ajax.php", 200))
        .post(10.0, "/doku.php?id=start&do=edit", 200)
        .post(30.0, "/doku.php?id=start", 302)
        .get(
            1.0,
            "/doku.php?id=start&do=diff&rev2%5B0%5D=1700000000&rev2%5B1%5D=1700000001",
            200,
        )
        .get(1.0, "/lib/exe/indexer.php?id=start&1763800000", 200)
}

fn missing_icons() -> Case {
    [
        "/favicon.ico",
        "/favicon.png",
        "/apple-touch-icon.png",
        "/apple-touch-icon-precomposed.png",
        "/apple-touch-icon-120x120.png",
        "/apple-touch-icon-120x120-precomposed.png",
        "/apple-touch-icon-152x152.png",
        "/browserconfig.xml",
        "/site.webmanifest",
        "/manifest.json",
        "/robots.txt",
        "/sitemap.xml",
        "/ads.txt",
        "/.well-known/change-password",
        "/.well-known/appspecific/com.chrome.devtools.json",
        "/.well-known/traffic-advice",
        "/.well-known/assetlinks.json",
        "/.well-known/apple-app-site-association",
        "/apple-app-site-association",
        "/.well-known/dnt-policy.txt",
        "/.well-known/gpc.json",
        "/.well-known/security.txt",
        "/humans.txt",
    ]
    .into_iter()
    .fold(Case::default(), |case, icon| case.get(0.1, icon, 404))
}

fn mistyped_password() -> Case {
    Case::default()
        .get(0.0, "/login", 200)
        .assets()
        .times(5, |case, _| case.post(7.0, "/login", 200).assets())
        .times(4, |case, _| case.post(9.0, "/api/auth/login", 401))
        .post(9.0, "/api/auth/login", 200)
        .get(0.1, "/account", 200)
        .assets()
}

fn searching() -> Case {
    let texts = [
        "O'Brien and Sons -- since 1990",
        "select a phone from the list",
        "order by 3 items",
        "a < b and 1 = 1",
    ];
    texts
        .into_iter()
        .fold(Case::default().get(0.0, "/", 200).assets(), |case, text| {
            (1..=text.len()).fold(case, |case, end| {
                let typed: String = text.chars().take(end).collect();
                let typed = typed
                    .replace(' ', "+")
                    .replace('\'', "%27")
                    .replace('<', "%3C")
                    .replace('=', "%3D");
                case.get(0.2, format!("/search?q={typed}"), 200)
            })
        })
}

fn office() -> Case {
    Case::default().times(25, |case, person| {
        case.with_agent(&format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/1{}.0.0.0 Safari/537.36",
            20 + person % 12
        ))
        .get(0.5, "/login", 200)
        .assets()
        .post(1.5, "/login", 303)
        .get(0.1, "/home", 200)
        .assets()
    })
}

fn code_host() -> Case {
    [
        "/team/app/src/branch/main/.env",
        "/team/app/src/branch/main/.env.example",
        "/team/app/src/branch/main/docker-compose.yml",
        "/team/app/src/branch/main/Dockerfile",
        "/team/app/raw/branch/main/.gitlab-ci.yml",
        "/team/app/src/branch/main/config/database.yml",
        "/team/app/src/branch/main/.vscode/settings.json",
        "/team/app/commits/branch/main/appsettings.json",
        "/team/app/blame/branch/main/terraform.tfvars",
        "/team/app/src/branch/main/shell.php",
        "/team/app/src/branch/main/cmd.php",
        "/team/app/src/branch/main/up.php",
    ]
    .into_iter()
    .fold(Case::default(), |case, page| {
        case.get(3.0, page, 200).assets()
    })
}

fn programs() -> Vec<(&'static str, Case)> {
    vec![
        (
            "git over smart HTTP in a build",
            Case::agent("git/2.47.3").times(60, |case, repo| {
                case.get(
                    0.5,
                    format!("/team/repo{repo}.git/info/refs?service=git-upload-pack"),
                    401,
                )
                .get(
                    0.1,
                    format!("/team/repo{repo}.git/info/refs?service=git-upload-pack"),
                    200,
                )
                .post(0.1, format!("/team/repo{repo}.git/git-upload-pack"), 200)
            }),
        ),
        (
            "git over dumb HTTP",
            Case::agent("git/2.47.3").times(200, |case, object| {
                case.get(
                    0.02,
                    format!("/repo.git/objects/{:02x}/{object:038x}", object % 256),
                    404,
                )
            }),
        ),
        ("apt", apt()),
        (
            "a link checker with eight dead links",
            Case::agent("Mozilla/5.0 (compatible; LinkChecker/10.2)")
                .times(40, |case, page| {
                    case.then(0.5, "HEAD", format!("/page/{page}"), 200)
                })
                .times(8, |case, page| {
                    case.then(0.5, "HEAD", format!("/gone/{page}"), 404)
                }),
        ),
        (
            "davfs with a password",
            Case::agent("davfs2/1.7.0 neon/0.32.5").times(150, |case, file| {
                case.then(0.05, "PROPFIND", format!("/dav/file{file}"), 401)
                    .then(0.05, "PROPFIND", format!("/dav/file{file}"), 207)
            }),
        ),
        (
            "Finder on a WebDAV share",
            Case::agent("WebDAVFS/3.0.0 (03008000) Darwin/24.0.0").times(80, |case, file| {
                case.then(0.03, "PROPFIND", format!("/dav/._file{file}"), 404)
                    .then(0.03, "PUT", format!("/dav/file{file}"), 201)
                    .then(0.03, "LOCK", format!("/dav/file{file}"), 200)
                    .then(0.03, "PROPFIND", "/dav/.DS_Store", 404)
            }),
        ),
        (
            "a monitor without a password",
            Case::agent("Prometheus/3.5.0").times(100, |case, _| case.get(15.0, "/metrics", 401)),
        ),
        (
            "a browser that polls after its session ended",
            Case::default().times(60, |case, _| case.get(10.0, "/api/notifications", 401)),
        ),
        (
            "a telephone with an old password",
            Case::agent("DAVx5/4.4")
                .password(7)
                .times(30, |case, round| {
                    case.then(4.0, "PROPFIND", format!("/ada/calendar{}/", round % 3), 401)
                }),
        ),
        ("docker pull", docker()),
    ]
}

fn fetchers() -> Vec<(&'static str, Case)> {
    vec![
        (
            "npm install",
            Case::agent("npm/11.0.0 node/v24.0.0 linux x64").times(300, |case, package| {
                case.get(0.01, format!("/package{package}"), 200).get(
                    0.01,
                    format!("/package{package}/-/package-1.0.{package}.tgz"),
                    200,
                )
            }),
        ),
        (
            "Maven that asks one repository after the other",
            Case::agent("Apache-Maven/3.9.9 (Java 21)").times(120, |case, artifact| {
                case.get(
                    0.02,
                    format!("/maven2/org/example/a{artifact}/1.0/a{artifact}-1.0.pom"),
                    404,
                )
            }),
        ),
        (
            "cargo on a sparse index",
            Case::agent("cargo/1.95.0").times(250, |case, krate| {
                case.get(0.01, format!("/se/rd/crate{krate}"), 200)
            }),
        ),
        (
            "wrk",
            Case::agent("").times(3000, |case, _| case.get(0.0005, "/", 200)),
        ),
        (
            "curl in a loop",
            Case::agent("curl/8.14.1").times(200, |case, _| case.get(0.1, "/health", 200)),
        ),
        (
            "a backend that asks for tokens",
            Case::agent("okhttp/5.1.0").times(200, |case, _| case.post(0.5, "/oauth/token", 200)),
        ),
        (
            "a feed reader",
            Case::agent("Mozilla/5.0 (compatible; Miniflux/2.2)").times(30, |case, feed| {
                case.get(0.2, format!("/feed/{feed}.xml"), 200)
            }),
        ),
    ]
}

fn apt() -> Case {
    let agent = "Debian APT-HTTP/1.3 (3.0.3)";
    Case::agent(agent)
        .get(0.0, "/debian/dists/trixie/InRelease", 304)
        .times(30, |case, index| {
            case.get(
                0.02,
                format!("/debian/dists/trixie/main/i18n/Translation-en_US{index}.xz"),
                404,
            )
        })
        .times(30, |case, index| {
            case.get(
                0.02,
                format!("/debian/dists/trixie/main/dep11/Components-{index}"),
                404,
            )
        })
        .times(300, |case, package| {
            case.get(
                0.01,
                format!("/debian/pool/main/p/package{package}/package{package}_1.0_amd64.deb"),
                200,
            )
        })
}

fn docker() -> Case {
    Case::agent("docker/28.0.0 go/go1.24 kernel/6.12 os/linux arch/amd64")
        .get(0.0, "/v2/", 401)
        .get(
            0.1,
            "/token?service=registry&scope=repository:app:pull",
            200,
        )
        .times(60, |case, layer| {
            case.then(
                0.05,
                "HEAD",
                format!("/v2/app/blobs/sha256:{layer:064x}"),
                404,
            )
            .post(0.05, "/v2/app/blobs/uploads/", 202)
            .get(0.05, format!("/v2/app/blobs/sha256:{layer:064x}"), 200)
        })
}

fn applications() -> Vec<(&'static str, Case)> {
    vec![
        ("a REST interface at twenty requests a second", Case::default().times(400, |case, item| {
            case.get(0.05, format!("/api/items/{item}?expand=owner&sort=(name)&fields=id,name"), 200)
        })),
        ("a REST interface in which some things are gone", Case::default()
            .referer("https://www.example.org/app")
            .times(30, |case, item| case.get(0.05, format!("/api/users/{item}/avatar"), 404))),
        ("an application whose session ended", Case::default()
            .times(25, |case, part| case.get(0.02, format!("/api/part{part}"), 401))
            .get(0.2, "/login", 200)
            .assets()
            .post(10.0, "/api/auth/login", 200)),
        ("an album that is scrolled", Case::default().times(400, |case, photo| {
            case.get(0.02, format!("/api/assets/{photo:08x}/thumbnail?size=preview&c={photo}"), 200)
        })),
        ("Jellyfin's start page", Case::default()
            .times(150, |case, item| case.get(0.02, format!("/Items/{item:x}/Images/Primary?fillHeight=300&quality=96&tag={item:x}"), 200))
            .times(80, |case, _| case.post(1.0, "/Sessions/Playing/Progress", 204))),
        ("Nextcloud's files", Case::default()
            .times(200, |case, file| case.get(0.02, format!("/index.php/core/preview?fileId={file}&x=250&y=250"), if file % 3 == 0 { 404 } else { 200 }))
            .times(40, |case, user| case.get(0.05, format!("/index.php/avatar/user{user}/64"), 200))
            .times(40, |case, _| case.then(0.5, "PROPFIND", "/remote.php/dav/files/me/", 207))
            .times(20, |case, _| case.post(3.0, "/index.php/apps/text/session/push", 200))),
        ("Grafana", Case::default().times(90, |case, _| case.post(0.1, "/api/ds/query?ds_type=prometheus&requestId=Q1", 200))),
        ("a map", Case::default().times(400, |case, tile| {
            case.get(0.02, format!("/wms?service=WMS&request=GetMap&bbox={tile},0,1,1"), 200).get(0.02, format!("/tiles/12/{tile}/7.png"), 200)
        })),
        ("a video in segments", Case::default().times(200, |case, part| case.get(0.1, format!("/hls/film/part{part}.m4s"), 206))),
        ("phpMyAdmin", Case::default().times(60, |case, _| case.post(0.7, "/phpmyadmin/index.php?route=/sql&ajax_request=1", 200))),
        ("a chat", Case::default().times(120, |case, _| case.post(0.8, "/rooms/42/messages", 201).get(0.1, "/rooms/42/poll?since=1", 200))),
        ("a fediverse server that delivers", Case::agent("Mastodon/4.5.0 (http.rb/5.3; +https://social.example/)").times(300, |case, _| case.post(0.1, "/inbox", 202))),
        ("a payment page with long queries", Case::default().times(10, |case, order| {
            case.get(3.0, format!("/pay?return=https%3A%2F%2Fwww.example.org%2Fok%3Fid%3D{order}&cart=%5B%5B%22a%22,1%5D,%5B%22b%22,(%22x%22)%5D%5D&note=%22quoted%22+--+text"), 200)
                .assets()
        })),
    ]
}
