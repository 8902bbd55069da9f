"""A slip is checked in the browser: on the public page, and with the kept file and no network at all."""

import json

import pytest
from playwright.sync_api import expect

from fleetapp.kit import clock
from fleetapp.planning import signing
from tests.browser.conftest import PHONE

pytestmark = pytest.mark.browser


def test_a_code_is_checked_without_a_network(chromium, base, tmp_path):
    keys = signing.derived("only for tests")
    at = clock.now()
    good = signing.sign(signing.SlipCode("330106-EDU-2026-00001", "浙A·10001~", at, at), keys, at)
    context = chromium.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{base}/slips/verify")
    with page.expect_download() as download:
        page.get_by_role("link", name="下载离线验真页").click()
    kept = tmp_path / "kept.html"
    download.value.save_as(kept)
    context.close()
    offline = chromium.new_context(viewport=PHONE, offline=True)
    page = offline.new_page()
    page.goto(kept.as_uri())
    for code, said in (
        (good, "浙A·10001~"),
        (f"https://fleet.example/slips/verify?code={good}", "签名有效"),
        (good.replace("00001", "00002"), "无法验证"),
        (good[:-4] + "AAAA", "无法验证"),
        (signing.sign(signing.SlipCode("1", "2", at, at), signing.derived("another"), at), "密钥未知"),
        ("hello", "无法验证"),
    ):
        page.locator("#code").fill(code)
        page.get_by_role("button", name="离线验真").click()
        expect(page.locator("[data-slip-result]")).to_contain_text(said)
    form = page.locator("form")
    published = json.loads(form.get_attribute("data-keys"))
    published["keys"][0]["until"] = published["keys"][0]["since"]
    form.evaluate("(form, keys) => { form.dataset.keys = keys; }", json.dumps(published))
    assert signing.read(good, signing.read_public(published)).state == "old_key"
    offline.close()
