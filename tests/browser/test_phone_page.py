"""The app's page itself: how much it loads, and whether everybody can read and tap it."""

import gzip
import json
from datetime import timedelta

import pytest

from fleetapp.kit import clock
from tests.browser.conftest import EAST, ROOT, SEAT
from tests.browser.phones import SIZE
from tests.walks import steps

pytestmark = pytest.mark.browser
PLATE = "浙A10001"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def duty(city):
    """Return a maker of a duty in a slot of its own."""

    def make(slot):
        start = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=20 + 50 * slot)
        _, made = steps.dispatched(
            city, start=start, end=start + timedelta(minutes=15), stops=[SEAT, EAST], plate=PLATE
        )
        return made

    return make


def gzipped(page, base):
    """Open the app afresh and return the bytes of whatever it asks for, as a server that compresses sends them."""
    asked = []
    page.on("request", lambda one: asked.append(one))  # noqa: PLW0108 -- playwright marks its handlers
    page.goto(f"{base}/phone/")
    page.locator("#badge").wait_for()
    sizes = {}
    for path in dict.fromkeys(one.url for one in asked if one.url.startswith(base)):
        answer = page.request.get(path)
        picture = answer.headers.get("content-type", "").startswith("image/png")
        sizes[path.removeprefix(base)] = len(answer.body() if picture else gzip.compress(answer.body(), 6))
    return sizes


def test_the_first_load_is_small(window, base):
    """What a phone fetches before the driver sees the duties; the worker fetches the page's parts once more from the cache or net."""
    opened = window("driver.xhedu", size=SIZE)
    sizes = gzipped(opened.page, base)
    later = opened.page.request
    sizes["/phone/sw.js"] = len(gzip.compress(later.get(f"{base}/phone/sw.js").body(), 6))
    assert sum(sizes.values()) < 200_000, sizes
    assert len(sizes) <= 9, sorted(sizes)
    assert not [path for path in sizes if "phone-qr" in path], "the decoder is loaded only where it is needed"
    print(json.dumps({"first_load_bytes": sum(sizes.values()), "requests": len(sizes), **sizes}, ensure_ascii=False))


PLACES = ("#/", "#/queue", "#/messages", "#/mine", "#/leave")
SMALL = """() => [...document.querySelectorAll("#app button, #app a, #app summary, #app input:not([type=file]), #app .toggle")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 56 && !one.closest(".toggle"))
  .map((one) => `${Math.round(one.getBoundingClientRect().height)} px: ${one.outerHTML.slice(0, 90)}`)
  .concat([...document.querySelectorAll("#app *")].filter((one) => one.checkVisibility() && [...one.childNodes].some((node) =>
    node.nodeType === 3 && node.data.trim()) && parseFloat(getComputedStyle(one).fontSize) < 18).map((one) => `small text: ${one.outerHTML.slice(0, 90)}`))
  .concat(document.documentElement.scrollWidth > innerWidth ? ["too wide"] : [])"""


@pytest.mark.parametrize("elder", [False, True])
def test_every_page_is_large_and_readable_by_all(window, base, city, duty, elder):
    """axe-core finds no fault of WCAG 2.1 AA, targets are 56 px, text 18 px, nothing is wider than 360 px."""
    duty_id = duty(7 + elder)
    opened = window("driver.xhedu", size=SIZE)
    page, faults = opened.page, []
    page.goto(f"{base}/phone/")
    page.evaluate("(elder) => localStorage.setItem('elder', elder)", "yes" if elder else "no")
    for place in (*PLACES, f"#/task/{duty_id}"):
        page.goto(f"{base}/phone/{place}")
        page.reload()
        page.locator("#badge").wait_for()
        faults += [f"{place}: {fault}" for fault in page.evaluate(SMALL)]
        faults += [f"{place}: {fault}" for fault in page.evaluate(f"() => {{ {AXE.read_text()} ; return axe.run({{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }})"
                   ".then((found) => found.violations.map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 120)}`)) }")]  # fmt: skip
        if elder and place.startswith("#/task"):
            opened.picture("phone-elder")
    assert faults == []
