"""Stories of programs made for what is served, each a function named on the command line.

Real programs where Debian has them; what only a phone or a server would run is played
by curl with that program's name and requests. A story fails by raising.
"""
import os
import pathlib
import subprocess
import sys
import time

CODE = "http://code.example.org"
FILES = "http://files.example.org"
PACKAGES = "http://packages.example.org"
SITE = "http://www.example.org"
CALENDAR = "http://calendar.example.org"
WIKI = "http://wiki.example.org"


def run(*words, ok=True, **options):
    """Runs a program; what it said. `ok` is whether it should succeed, None if either is fine."""
    ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, text=True, **options)
    assert ok is None or (ended.returncode == 0) == ok, f"{words}: {ended.returncode}\n{ended.stdout}"
    return ended.stdout


def ask(url, *words, agent=None, expect=None):
    """One request of curl's; the status."""
    agent = ["-A", agent] if agent else []
    status = run("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", *agent, *words, url)
    assert expect is None or int(status) in (expect if isinstance(expect, tuple) else (expect,)), f"{url}: {status}"
    return int(status)


def monitors_a_protected_page_every_second():
    """An uptime monitor that is content with 401, for a minute at its own pace."""
    for turn in range(60):
        head = ["-I"] if turn % 2 else []
        ask(f"{SITE}/intranet/", *head, agent="Uptime-Kuma/1.23.13", expect=401)
        time.sleep(1)


def checks_every_link_of_a_wiki():
    """linkchecker, with its own name and threads, over a wiki with many links to nowhere."""
    for site, ignored in [(f"{WIKI}/doku.php?id=start", "do=|rev=|lib/exe"), (f"{SITE}/", "/thumbs/")]:
        depth = 1 if site.startswith(WIKI) else 2
        said = run("linkchecker", "--no-status", f"--recursion-level={depth}", "--timeout=20", "--no-robots",
                   "--ignore-url", ignored, site, ok=None)
        assert "links in" in said, said[-2000:]


def clones_and_pushes_with_git():
    """git asks without a password first, and is told 401 each time; one password is wrong."""
    quiet = {"env": dict(os.environ, GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1")}
    right = "http://ada:correct-horse@code.example.org/tea.git"
    run("git", "config", "--global", "user.email", "ada@example.org")
    run("git", "config", "--global", "user.name", "Ada")
    run("git", "config", "--global", "init.defaultBranch", "main")
    for _ in range(3):
        run("git", "clone", "-q", f"{CODE}/tea.git", "nothing", ok=False, **quiet)
    for wrong in ["correct-hors", "horse", "Correct-horse"]:
        run("git", "clone", "-q", f"http://ada:{wrong}@code.example.org/tea.git", "nothing", ok=False, **quiet)
    run("git", "clone", "-q", right, "tea", **quiet)
    for turn in range(4):
        pathlib.Path(f"tea/leaf{turn}").write_text("green\n")
        run("git", "add", ".", cwd="tea")
        run("git", "commit", "-q", "-m", f"Leaf {turn}", cwd="tea")
        run("git", "push", "-q", "origin", "main", cwd="tea", **quiet)
    for turn in range(6):
        run("git", "clone", "-q", right, f"again{turn}", **quiet)
        run("git", "fetch", "-q", cwd=f"again{turn}", **quiet)
    # Submodules and forks that moved away.
    for gone in range(12):
        run("git", "ls-remote", f"http://ada:correct-horse@code.example.org/gone{gone}.git", ok=False, **quiet)


def works_in_a_shared_folder_with_cadaver():
    """cadaver, which asks without a password first: lists, fetches what is not there,
    writes, locks, moves and deletes."""
    netrc = pathlib.Path.home() / ".netrc"
    netrc.write_text("machine files.example.org\nlogin ada\npassword correct-horse\n")
    netrc.chmod(0o600)
    pathlib.Path("tea.txt").write_text("Tea\n")
    words = ["ls"]
    for turn in range(6):
        words += [f"put tea.txt tea{turn}.txt", f"get letter{turn}.txt got{turn}.txt", f"get gone{turn}.txt none.txt",
                  f"propnames tea{turn}.txt"]
    words += ["lock tea1.txt", "unlock tea1.txt", "move tea1.txt cup.txt", "mkcol pots", "copy cup.txt pots/cup.txt",
              "cd pots", "ls", "cd ..", "rmcol pots", "delete cup.txt", "delete gone.txt"]
    words += [f"delete tea{turn}.txt" for turn in range(2, 6)] + ["quit"]
    for folder in ["shared", "private"]:
        said = run("cadaver", f"{FILES}/{folder}/", input="\n".join(words) + "\n")
        assert "succeeded" in said, said


def mounts_a_shared_folder():
    """What Finder, Explorer, GNOME and davfs2 look for in every folder, most of it not
    there; each asks without a password first."""
    right = ["-u", "ada:correct-horse", "--anyauth"]
    find = ["-X", "PROPFIND", "-H", "Depth: 0"]
    finder = "WebDAVFS/3.0.0 (03008000) Darwin/23.4.0 (x86_64)"
    explorer = "Microsoft-WebDAV-MiniRedir/10.0.22631"
    ask(f"{FILES}/shared/", "-X", "OPTIONS", *right, agent=finder, expect=200)
    for name in [".DS_Store", "._.", "._letter1.txt", "._letter2.txt", "._letter3.txt", "._letter4.txt", ".hidden",
                 ".metadata_never_index", ".Spotlight-V100", ".metadata_never_index_unless_rootfs", ".TemporaryItems",
                 "Contents", ".ql_disablethumbnails", ".ql_disablecache", "DCIM", "Backups.backupdb", ".localized"]:
        ask(f"{FILES}/shared/{name}", *find, *right, agent=finder, expect=404)
        ask(f"{FILES}/shared/{name}", *find, agent=finder, expect=401)
    for name in ["desktop.ini", "Desktop.ini", "Thumbs.db", "folder.jpg", "AutoRun.inf", "folder.gif", "Folder.jpg",
                 "ehthumbs.db", "letter1.txt:Zone.Identifier"]:
        ask(f"{FILES}/shared/{name}", *find, *right, agent=explorer, expect=(403, 404))
    for name in [".hidden", ".Trash", ".Trash-1000", ".directory", "autorun.inf", ".xdg-volume-info", ".comments"]:
        ask(f"{FILES}/shared/{name}", *find, *right, agent="gvfs/1.50.3", expect=404)
        ask(f"{FILES}/shared/{name}", *right, agent="davfs2/1.6.1 neon/0.32.2", expect=404)
    # A folder of photographs copied, each with its shadow file.
    for number in range(30):
        shadow = ["-T", "/etc/hostname"]
        ask(f"{FILES}/shared/photo{number}.jpg", *find, *right, agent=finder, expect=404)
        ask(f"{FILES}/shared/photo{number}.jpg", *shadow, *right, agent=finder, expect=201)
        ask(f"{FILES}/shared/._photo{number}.jpg", *find, *right, agent=finder, expect=404)


def installs_packages():
    """apt from a small repository: no InRelease, no translations, no by-hash; twice, and
    from one that is not there."""
    home = pathlib.Path.cwd()
    for part in ["lists/partial", "archives/partial", "state", "etc"]:
        (home / part).mkdir(parents=True)
    (home / "state/status").touch()
    sources = home / "etc/sources.list"
    options = ["-o", f"Dir::Etc={home}/etc", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
               "-o", f"Dir::State={home}/state", "-o", f"Dir::State::lists={home}/lists",
               "-o", f"Dir::State::status={home}/state/status", "-o", f"Dir::Cache={home}",
               "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=en,de,fr", "-o", "Acquire::Retries=0",
               "-o", "Acquire::Check-Valid-Until=false"]
    sources.write_text(f"deb [trusted=yes] {PACKAGES} stable main\n")
    for _ in range(3):
        run("apt-get", *options, "update")
    run("apt-get", *options, "install", "-y", "--download-only", "kettle", "teapot")
    gone = [f"deb [trusted=yes] {PACKAGES}/moved {suite} main contrib\n" for suite in ["stable", "stable-updates"]]
    sources.write_text("".join(gone))
    for _ in range(2):
        run("apt-get", *options, "update", ok=None)
    sources.write_text(f"deb [trusted=yes] {PACKAGES} stable main\n")
    run("apt-get", *options, "update")


def reads_a_feed():
    """A feed reader that asks whether anything is new, and mostly hears no: at once for
    forty subscribers of one service."""
    ask(f"{SITE}/feed.xml", "--etag-save", "etag", agent="FreshRSS/1.24.1 (Linux; https://freshrss.org)", expect=200)
    for _ in range(40):
        ask(f"{SITE}/feed.xml", "--etag-compare", "etag", agent="FreshRSS/1.24.1 (Linux; https://freshrss.org)",
            expect=304)
    for gone in ["rss", "feed", "atom.xml", "feed/", "rss.xml", "index.xml", "feeds/posts/default"]:
        ask(f"{SITE}/{gone}", agent="FreshRSS/1.24.1 (Linux; https://freshrss.org)", expect=404)


def retries_with_an_expired_token():
    """A client of an interface whose token has run out: every job is answered 401 and
    tried again after one, two, four and eight seconds, six jobs side by side."""
    jobs = ["orders", "stock", "prices", "invoices", "users", "webhooks"]
    for wait in [1, 2, 4, 8, 8, 8]:
        for job in jobs:
            ask(f"{SITE}/api/{job}", "-H", "Authorization: Bearer stale", agent="python-requests/2.32.3", expect=401)
        time.sleep(wait)
    for job in jobs:
        ask(f"{SITE}/api/{job}", "-H", "Authorization: Bearer fresh", agent="python-requests/2.32.3", expect=200)


def crawls_for_a_search_engine():
    """robots.txt, then a page a second: forty pages of the two hundred, at its real pace,
    since longer changes nothing at a rate at which buckets leak."""
    agent = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"
    ask(f"{WIKI}/robots.txt", agent=agent)
    for number in range(1, 41):
        ask(f"{WIKI}/doku.php?id=place:town{number}", agent=agent, expect=200)
        if number % 4 == 0:
            ask(f"{WIKI}/doku.php?id=place:forgotten{number}", agent=agent)
        time.sleep(1)


def syncs_calendars_and_contacts():
    """A phone sets up its accounts, then stores a hundred contacts; each request is first
    tried without a password by some of its programs."""
    right = ["-u", "ada:correct-horse"]
    agent = "iOS/17.5 (21F79) dataaccessd/1.0"
    for known in ["/.well-known/caldav", "/.well-known/carddav"]:
        ask(f"{CALENDAR}{known}", "-X", "PROPFIND", agent=agent)
    for path in ["/", "/principals/", "/calendar/dav/ada/user/", "/dav/", "/ada/", "/ada/contacts/"]:
        ask(f"{CALENDAR}{path}", "-X", "PROPFIND", "-H", "Depth: 0", agent=agent)
        ask(f"{CALENDAR}{path}", "-X", "PROPFIND", "-H", "Depth: 0", *right, agent=agent)
    ask(f"{CALENDAR}/ada/contacts/", "-X", "MKCOL", *right, "-H", "Content-Type: application/xml", "-d",
        '<?xml version="1.0"?><mkcol xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><set><prop><resourcetype>'
        '<collection/><c:addressbook/></resourcetype></prop></set></mkcol>', agent=agent, expect=201)
    for number in range(100):
        card = f"BEGIN:VCARD\nVERSION:3.0\nUID:{number}\nFN:Person {number}\nN:Person;{number};;;\nEND:VCARD\n"
        path = f"{CALENDAR}/ada/contacts/{number}.vcf"
        if number % 10 == 0:
            ask(path, "-X", "PUT", "-H", "Content-Type: text/vcard", "-d", card, agent="DAVx5/4.4", expect=401)
        if number % 9 == 0:
            ask(path, *right, agent="DAVx5/4.4", expect=404)
        ask(path, "-X", "PUT", *right, "-H", "Content-Type: text/vcard", "--data-binary", card, agent="DAVx5/4.4",
            expect=201)


def syncs_with_an_old_password():
    """A phone and a laptop whose owner changed the password elsewhere: they go on trying
    the old one, every collection in turn, until somebody tells them."""
    old = ["-u", "ada:old-password"]
    for _ in range(4):
        for path in ["/ada/contacts/", "/ada/calendar/", "/ada/tasks/", "/ada/"]:
            ask(f"{CALENDAR}{path}", "-X", "PROPFIND", "-H", "Depth: 1", *old, agent="DAVx5/4.4", expect=401)
            ask(f"{FILES}/shared/", "-X", "PROPFIND", "-H", "Depth: 1", *old, agent="gvfs/1.50.3", expect=401)
        time.sleep(2)
    for _ in range(30):
        ask(f"{SITE}/intranet/", *old, agent="Nextcloud-android/3.29", expect=401)
        time.sleep(0.5)


def looks_for_a_mail_account():
    """Mail programs and phones that guess where settings may lie, for three people."""
    for _ in range(3):
        for path in ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml",
                     "/autodiscover/autodiscover.json?Email=ada%40example.org&Protocol=ActiveSync",
                     "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ada%40example.org",
                     "/mail/config-v1.1.xml?emailaddress=ada%40example.org", "/Microsoft-Server-ActiveSync",
                     "/.well-known/jmap", "/.well-known/caldav", "/.well-known/carddav", "/.well-known/mta-sts.txt",
                     "/.well-known/openid-configuration", "/.well-known/webfinger", "/.well-known/host-meta",
                     "/.well-known/assetlinks.json", "/.well-known/apple-app-site-association",
                     "/apple-app-site-association", "/EWS/Exchange.asmx", "/mapi/emsmdb", "/rpc/rpcproxy.dll"]:
            ask(f"{SITE}{path}", agent="Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17628)")


def changes_its_agent():
    """One phone whose applications each name themselves differently."""
    programs = ["Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)", "okhttp/4.12.0", "Instagram 312.0", "WhatsApp/2.24.1",
                "FBAV/450.0", "Spotify/8.9", "Podcasts/4023.610", "Dart/3.3 (dart:io)", "CFNetwork/1494 Darwin/23.4.0",
                "AppleCoreMedia/1.0", "GoogleImageProxy", "Signal-Android/7.1", "DAVx5/4.4", "FairEmail/1.2178",
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"]
    for turn in range(4):
        for agent in programs:
            ask(f"{SITE}/?{turn}", agent=agent if turn % 2 else f"{agent} build/{turn}", expect=200)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
