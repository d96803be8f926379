"""Chromium steered through chromedriver (W3C WebDriver), with nothing but the standard library."""
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One browser with a profile of its own; tabs share its cookies and connections."""

    def __init__(self, user_agent=None):
        self.profile = tempfile.mkdtemp(prefix="rw-chromium-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--silent"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1200,900", f"--user-data-dir={self.profile}"]
        # Headless names itself; people's browsers do not.
        arguments.append(f"--user-agent={user_agent or CHROME}")
        self.session = None
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{self.base}/status", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        self._start(arguments)

    def _start(self, arguments):
        wanted = {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "pageLoadStrategy": "normal",
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"}}}}
        self.session = None
        self.session = self.command("POST", "/session", wanted)["sessionId"]

    def command(self, method, path, body=None):
        url = self.base + (f"/session/{self.session}" if self.session else "") + path
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()[:400]}") from None

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def script(self, text, *arguments):
        return self.command("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def wait_script(self, text, *arguments):
        """The script calls its last argument when done."""
        return self.command("POST", "/execute/async", {"script": text, "args": list(arguments)})

    def find(self, selector):
        return self.command("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def there(self, selector):
        return self.script("return document.querySelector(arguments[0]) !== null", selector)

    def wait(self, selector, seconds=20):
        until = time.monotonic() + seconds
        while not self.there(selector):
            assert time.monotonic() < until, f"{selector} is not on {self.url()}: {self.text()[:600]}"
            time.sleep(0.1)

    def fill(self, selector, text):
        element = self.find(selector)
        self.command("POST", f"/element/{element}/clear")
        self.command("POST", f"/element/{element}/value", {"text": text})

    def type(self, selector, text):
        self.command("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        """As a finger does, but where the page still moves: then as a script does."""
        try:
            self.command("POST", f"/element/{self.find(selector)}/click")
        except RuntimeError:
            self.script("document.querySelector(arguments[0]).click()", selector)

    def submit(self, selector, seconds=30):
        """Clicks what leads to another page, and waits until that page is there. As a
        script clicks: where a page still moves, a finger meets the link beside it."""
        self.script("document.documentElement.dataset.left = 1; document.querySelector(arguments[0]).click()", selector)
        until = time.monotonic() + seconds
        while not self.script("return document.readyState === 'complete' && !document.documentElement.dataset.left"):
            assert time.monotonic() < until, f"{selector} on {self.url()} leads nowhere: {self.text()[:600]}"
            time.sleep(0.05)

    def url(self):
        return self.command("GET", "/url")

    def text(self):
        return self.script("return document.body.innerText")

    def forget_cookies(self):
        self.command("DELETE", "/cookie")

    def new_tab(self):
        handle = self.command("POST", "/window/new", {"type": "tab"})["handle"]
        self.command("POST", "/window", {"handle": handle})
        return handle

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.command("DELETE", "")
        except (RuntimeError, OSError):
            pass
        self.driver.terminate()
        self.driver.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
