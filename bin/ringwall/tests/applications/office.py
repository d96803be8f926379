"""A whole office behind one address: browsers with several tabs, and colleagues played
with a browser's name, requests and connections, who make mistakes of their own."""
import base64
import concurrent.futures
import http.client
import random
import threading
import time
import urllib.parse

import people
from browser import Browser

SYSTEMS = ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"]
AGENTS = [f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
          for system in SYSTEMS for version in range(132, 145)]
PARTS = ["/lib/exe/css.php?t=dokuwiki", "/lib/exe/jquery.php", "/lib/exe/js.php?t=dokuwiki&lang=en",
         "/lib/tpl/dokuwiki/images/favicon.ico", "/lib/tpl/dokuwiki/images/apple-touch-icon.png",
         "/lib/tpl/dokuwiki/images/logo.png", "/lib/tpl/dokuwiki/images/pagetools-sprite.svg"]


class Colleague:
    """Keeps six connections to a host open, as a browser does, and every cookie."""

    def __init__(self, number):
        self.agent, self.cookies, self.open = AGENTS[number % len(AGENTS)], {}, {}
        self.number, self.refused, self.turn, self.text = number, [], 0, ""

    def ask(self, host, path, referer=None, method="GET", body=None, password=None):
        headers = {"User-Agent": self.agent, "Accept": "text/html,*/*;q=0.8", "Accept-Language": "en"}
        if referer:
            headers["Referer"] = f"http://{host}{referer}"
        if self.cookies.get(host):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies[host].items())
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()
        self.turn += 1
        key = (host, self.turn % 6)
        if key not in self.open:
            self.open[key] = http.client.HTTPConnection(host, 80, timeout=60)
        connection = self.open[key]
        for attempt in range(2):
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                self.text = answer.read().decode(errors="replace")
                break
            except (http.client.HTTPException, OSError) as error:
                # The server may end an idle connection; a browser opens another then.
                connection.close()
                if attempt:
                    self.refused.append(f"{path}: {error!r}")
                    return 0
        for line in answer.msg.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies.setdefault(host, {})[name] = value
        if answer.status == 429:
            self.refused.append(f"{path}: {answer.status}")
        return answer.status

    def must(self, wanted, status):
        """A colleague who cannot do what the day is for is no colleague left alone."""
        if status != wanted:
            self.refused.append(f"{status} instead of {wanted}: {self.text[:300]}")

    def works(self, barrier):
        """Pages with their parts, the same pictures missing for everybody, for
        some a mistyped address, and one password wrong before the right one."""
        wiki, www = "wiki.example.org", "www.example.org"
        barrier.wait()
        for turn in range(4):
            page = f"/doku.php?id=place:town{(self.number * 4 + turn) % 60 + 1}"
            self.ask(wiki, page)
            for part in PARTS if turn == 0 else PARTS[3:4]:
                self.ask(wiki, part, referer=page)
            self.ask(www, "/holes.html")
            for picture in range(turn * 8, turn * 8 + 8):
                self.ask(www, f"/photo/{picture}", referer="/holes.html")
            time.sleep(random.uniform(1, 3))
        if self.number % 4 == 0:
            self.ask(www, f"/menu-of-{self.number}")
        if self.number % 3 == 0:
            self.must(401, self.ask(www, "/intranet/"))
            self.must(401, self.ask(www, "/intranet/", password="correct-hors"))
            self.must(200, self.ask(www, "/intranet/", password="correct-horse"))
        self.ask(wiki, "/doku.php?id=start&do=login")
        for password in (["correct-hors"] if self.number % 3 == 0 else []) + ["correct-horse"]:
            time.sleep(random.uniform(0, 8))
            form = {"sectok": "", "id": "start", "do": "login", "u": "ada", "p": password}
            self.ask(wiki, "/doku.php?id=start", method="POST", body=urllib.parse.urlencode(form),
                     referer="/doku.php?id=start&do=login")
            self.ask(wiki, PARTS[5], referer="/doku.php?id=start")
        self.must(200, self.ask(wiki, "/doku.php?id=start"))
        if "do=logout" not in self.text:
            self.refused.append(f"colleague {self.number} is not logged in: {self.text[:300]}")
        barrier.wait()
        return self.refused


def browses(number):
    with Browser(AGENTS[number]) as browser:
        for tab in range(3):
            browser.open(f"{people.WIKI}/doku.php?id=place:town{number * 3 + tab + 1}")
            browser.new_tab()
            browser.open(f"{people.SITE}/gallery.html")
            browser.new_tab()
            browser.open(f"{people.ENCYCLOPEDIA}?title=Tea_{tab + 1}")
            browser.new_tab()
        browser.open(f"{people.WIKI}/doku.php?id=start&do=login")
        people.wiki_login(browser, "ada", "wrong-horse")
        browser.wait("div.error")
        people.wiki_login(browser, "ada", "correct-horse")
        browser.wait("a[href*='do=logout']")
    return []


def opens_its_doors(browsers, colleagues):
    # All come at the same moment, and nobody leaves before the last is done.
    barrier = threading.Barrier(colleagues)
    with concurrent.futures.ThreadPoolExecutor(browsers + colleagues) as everybody:
        jobs = [everybody.submit(browses, number) for number in range(browsers)]
        jobs += [everybody.submit(Colleague(number).works, barrier) for number in range(colleagues)]
        refused = [one for job in jobs for one in job.result()]
    assert not refused, refused[:20]
