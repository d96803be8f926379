"""Stories of people with a browser, each a function named on the command line.

They click and type faster than people do where that only saves time, and at people's
own pace where pace is the point; each story says which. A story fails by raising.
"""
import sys
import time

from browser import Browser

WIKI = "http://wiki.example.org"
ENCYCLOPEDIA = "http://encyclopedia.example.org/w/index.php"
SITE = "http://www.example.org"


def wiki_login(browser, user, password, pause=1.0):
    browser.wait("#dw__login input[name=u]")
    browser.fill("#dw__login input[name=u]", user)
    browser.fill("#dw__login input[name=p]", password)
    time.sleep(pause)
    browser.submit("#dw__login button[type=submit]")


def reads_and_edits_a_wiki():
    """Reads faster than anybody, gets the password wrong four times, then edits."""
    with Browser() as browser:
        browser.open(WIKI + "/")
        for number in range(1, 13):
            browser.open(f"{WIKI}/doku.php?id=place:town{number}")
            time.sleep(0.5)
        # A red link, and an address typed wrong.
        browser.open(f"{WIKI}/doku.php?id=place:forgotten1")
        browser.open(f"{WIKI}/wiki/start")
        browser.open(f"{WIKI}/doku.php?id=start&do=login")
        for wrong in ["correct-horse ", "Correct-Horse", "correcthorse", "correct-hrose"]:
            wiki_login(browser, "ada", wrong)
            browser.wait("div.error")
        wiki_login(browser, "ada", "correct-horse")
        browser.wait("a[href*='do=logout']")
        for turn in range(3):
            browser.open(f"{WIKI}/doku.php?id=start&do=edit")
            browser.wait("#wiki__text")
            browser.type("#wiki__text", f"\nAnother cup, number {turn}. ")
            browser.submit("button[name='do[preview]']")
            browser.wait("#wiki__text")
            browser.submit("button[name='do[save]']")
            browser.wait(".page")
        browser.open(f"{WIKI}/doku.php?id=start&do=media&ns=wiki")
        browser.open(f"{WIKI}/doku.php?id=start&do=search&q=tea")
        browser.open(f"{WIKI}/doku.php?id=start&do=recent")
        browser.open(f"{WIKI}/doku.php?id=start&do=revisions")
        assert "Another cup, number 2" in (browser.open(f"{WIKI}/doku.php?id=start") or browser.text())


def forgot_a_password():
    """Ten passwords, one every two or three seconds, which is as fast as hands are: first the
    name is right and the password wrong. Then asks for a new one, and does the same in
    the encyclopedia."""
    with Browser() as browser:
        browser.open(f"{WIKI}/doku.php?id=start&do=login")
        for turn in range(10):
            wiki_login(browser, "ben", f"Summer202{turn}!", pause=1.5)
            browser.wait("div.error")
        wiki_login(browser, "ben", "battery-staple")
        browser.wait("a[href*='do=logout']")
        browser.open(f"{ENCYCLOPEDIA}?title=Special:UserLogin")
        for turn in range(10):
            browser.wait("#wpName1")
            browser.fill("#wpName1", "Ada")
            browser.fill("#wpPassword1", f"Summer202{turn}!")
            time.sleep(1.5)
            browser.submit("#wpLoginAttempt")
            browser.wait(".mw-message-box-error, .errorbox")
        browser.open(f"{ENCYCLOPEDIA}?title=Special:PasswordReset")
        # And in an application that says no by its status, with a password manager's help.
        browser.open(f"{SITE}/app.html")
        for turn in range(10):
            assert browser.wait_script(f"login('ada', 'Summer202{turn}!').then(arguments[0])") == 401
            time.sleep(1.5)


def types_into_the_search_box_of_an_encyclopedia():
    """Every letter asks for suggestions; pages load their parts through load.php."""
    with Browser() as browser:
        browser.open(f"{ENCYCLOPEDIA}?title=Main_Page")
        for number in range(1, 7):
            browser.open(f"{ENCYCLOPEDIA}?title=Tea_{number}")
            time.sleep(0.5)
            browser.type("#searchInput", "Tea growing places")
            time.sleep(0.5)
        for page in ["Nowhere_1", "Special:RecentChanges", "Special:AllPages", "Special:Random", "Special:SpecialPages",
                     "Special:NewFiles", "Special:Version", "Tea_1&action=history", "Tea_1&action=edit",
                     "Tea_1&action=info", "Special:Search&search=select+tea+from+china+where+it+is+green"]:
            browser.open(f"{ENCYCLOPEDIA}?title={page}")
        # As the page's own scripts ask while somebody types, a letter every 80 ms.
        browser.wait_script("""
            const done = arguments[0], words = "where does the tea come from and who drinks it ";
            (async () => {
                for (let end = 1; end <= words.length; end++) {
                    await fetch("/w/api.php?action=opensearch&format=json&limit=10&search="
                        + encodeURIComponent(words.slice(0, end)));
                    await new Promise(go => setTimeout(go, 80));
                }
                done();
            })();""")


def comes_back_with_an_expired_session():
    """A dashboard whose session ended overnight: every widget's call is answered 401,
    again at each refresh every three seconds, until its owner notices and logs in. Then
    an album whose hundred and twenty previews are refused at once."""
    with Browser() as browser:
        browser.open(f"{SITE}/app.html")
        say = "const done = arguments[arguments.length - 1]; "
        assert browser.wait_script(say + "login('ada', 'correct-horse').then(done)") == 200
        assert set(browser.wait_script(say + "refresh().then(done)")) == {200}
        browser.forget_cookies()
        for _ in range(12):
            assert set(browser.wait_script(say + "refresh().then(done)")) == {401}
            time.sleep(3)
        shown = say + "Promise.all([...Array(120).keys()].map(one => ask('/preview/' + one))).then(done)"
        assert set(browser.wait_script(shown)) == {401}
        for wrong in ["horse", "Horse", "correct", "correct-hors"]:
            assert browser.wait_script(say + f"login('ada', '{wrong}').then(done)") == 401
            time.sleep(1)
        assert browser.wait_script(say + "login('ada', 'correct-horse').then(done)") == 200
        assert set(browser.wait_script(say + "refresh().then(done)")) == {200}
    with Browser() as browser:
        # Three tabs of a wiki, restored in the morning, whose edits ask to log in.
        for number in range(1, 4):
            browser.open(f"{WIKI}/doku.php?id=place:town{number}&do=edit")
            browser.open(f"{WIKI}/doku.php?id=place:town{number}&do=admin")
            browser.new_tab()


def sees_a_site_full_of_holes():
    """A page that names a hundred and sixty pictures, a style, scripts and a map that are
    gone, loaded, reloaded and come back to; and addresses typed by heart."""
    with Browser() as browser:
        for _ in range(3):
            browser.open(f"{SITE}/holes.html")
            time.sleep(1)
            browser.open(f"{SITE}/")
        for gone in ["gone.html", "old/", "about-us", "About", "contact.htm", "kontakt"]:
            browser.open(f"{SITE}/{gone}")
            time.sleep(1)
        browser.open(f"{SITE}/holes.html")


def opens_a_gallery_of_thumbnails():
    """Three hundred pictures at once, and again with the cache off."""
    with Browser() as browser:
        browser.open(f"{SITE}/gallery.html")
        browser.command("POST", "/goog/cdp/execute", {"cmd": "Network.enable", "params": {}})
        browser.command("POST", "/goog/cdp/execute",
                        {"cmd": "Network.setCacheDisabled", "params": {"cacheDisabled": True}})
        browser.open(f"{SITE}/gallery.html")
        loaded = browser.script("return [...document.images].filter(one => one.naturalWidth > 0).length")
        assert loaded == 300, f"{loaded} of 300 pictures"


def leaves_a_polling_page_open():
    """A page that asks once a second for news that are not there: 404, ever new addresses."""
    with Browser() as browser:
        browser.open(f"{SITE}/app.html")
        say = "const done = arguments[arguments.length - 1]; "
        assert browser.wait_script(say + "login('ada', 'correct-horse').then(done)") == 200
        for _ in range(45):
            assert browser.wait_script(say + "poll().then(done)") == 404
            time.sleep(1)


def is_an_office():
    """Thirty people behind one address who come at the same moment: two with a browser
    of their own and several tabs, twenty-eight played, six connections each."""
    import office
    office.opens_its_doors(browsers=2, colleagues=28)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
