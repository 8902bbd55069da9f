"""The bill of materials names every pinned package once, with its hashes."""

import re
from pathlib import Path

from scripts import sbom

ROOT = Path(__file__).parents[2]


def test_every_locked_package_is_on_the_bill():
    bill = sbom.document()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(references) == len(set(references))
    addresses = {one["purl"] for one in bill["components"]}
    pinned = re.findall(
        r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements" / "main.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(pinned) > 40
    for name, version in pinned:
        assert f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}" in addresses
    assert any(address.startswith("pkg:npm/ol@") for address in addresses)
    assert all(one["hashes"] for one in bill["components"] if one["purl"].startswith("pkg:pypi/"))
    assert bill == sbom.document(), "the same lock files, the same bill"
