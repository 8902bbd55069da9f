"""An auditor in the browser: a report made in the background, a package, the chain checked piece by piece, a head kept."""

from functools import partial

import pytest
from playwright.sync_api import expect

from fleetapp.audit import jobs as heads
from fleetapp.kit import clock, signatures
from fleetapp.reports import jobs
from fleetapp.settings import Settings
from tests.browser.conftest import DESK, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("day")]


def test_a_report_is_asked_for_made_and_downloaded(window, city):
    auditor = window("auditor.city")
    auditor.open("/exports")
    auditor.page.fill("[name=reason]", "年度监督检查")
    auditor.page.click("button[formaction]")
    auditor.page.wait_for_url("**/exports#tasks")
    expect(auditor.page.get_by_text("排队中")).to_be_visible()
    auditor.picture("reports-waiting")
    assert jobs.work(city, clock.now()) == {"reports": 1}
    expect(auditor.page.get_by_text("已生成")).to_be_visible()  # the list asks again by itself
    with auditor.page.expect_download() as told:
        auditor.page.locator("#tasks a.btn").click()
    assert told.value.suggested_filename.endswith("_v1.xlsx")
    auditor.picture("reports-done")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_package_and_the_chain(window, city, size):
    heads.publish(
        city, clock.now(), sign=partial(signatures.sign, signatures.of(Settings(secret_key="only for tests")))
    )
    auditor = window("auditor.city", size)
    auditor.open("/findings")
    auditor.page.locator("main a[href^='/cases/']").first.click()
    auditor.page.locator("main a[href$='/evidence'].btn").click()
    auditor.page.fill("[name=reason]", "核实群众反映")
    auditor.picture("evidence-form")
    with auditor.page.expect_download(timeout=60_000) as told:
        auditor.page.locator("main form button[type=submit]").click(timeout=60_000)
    assert told.value.suggested_filename.endswith(".zip")
    auditor.open("/audit/verify")
    expect(auditor.page.get_by_text("校验通过")).to_be_visible(timeout=30_000)
    auditor.picture("audit-verify")
    auditor.open("/audit/heads")
    expect(auditor.page.get_by_text("一致", exact=True)).to_be_visible()
    auditor.picture("audit-heads")
    auditor.open("/evidence")
    auditor.picture("evidence-requests")
    wide = auditor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
