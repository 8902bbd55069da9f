"""Software bill of materials from the lock files: CycloneDX 1.6 as JSON on standard output.

Every component has its name, version, package address and the hashes that the lock file holds; nothing is asked of the network,
and the same lock files give the same document.
"""

import base64
import json
import re
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
ALGORITHMS = {"sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1"}


def python_components(text: str) -> list[dict]:
    """Return the components of a hashed requirements file."""
    found: list[dict] = []
    for line in text.splitlines():
        if pinned := PINNED.match(line):
            name, version = re.sub(r"[-_.]+", "-", pinned[1]).lower(), pinned[2]
            address = f"pkg:pypi/{name}@{version}"
            found.append(
                {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address, "hashes": []}
            )
        found_hash = HASH.search(line)
        if found_hash and found:
            found[-1]["hashes"].append({"alg": "SHA-256", "content": found_hash[1]})
    return found


def npm_components(text: str) -> list[dict]:
    """Return the components of an npm lock file; what is only there to build is of scope ``excluded``."""
    found = []
    for place, row in sorted(json.loads(text)["packages"].items()):
        if not place or row.get("link"):
            continue
        name = place.rpartition("node_modules/")[2]
        address = f"pkg:npm/{name.replace('@', '%40')}@{row['version']}"
        one = {
            "type": "library",
            "bom-ref": f"{address}#{place}",
            "name": name,
            "version": row["version"],
            "purl": address,
        }
        if row.get("dev"):
            one["scope"] = "excluded"
        if isinstance(row.get("license"), str):
            one["licenses"] = [{"expression": row["license"]}]
        algorithm, _, digest = row.get("integrity", "").partition("-")
        if algorithm in ALGORITHMS:
            one["hashes"] = [{"alg": ALGORITHMS[algorithm], "content": base64.b64decode(digest).hex()}]
        found.append(one)
    return found


def document(root: Path = ROOT) -> dict:
    """Return the bill of what runs in operation."""
    python = (root / "requirements" / "main.txt").read_text(encoding="utf-8")
    npm = (root / "package-lock.json").read_text(encoding="utf-8")
    components = python_components(python) + npm_components(npm)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, python + npm)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "fleet", "name": "fleet"}},
        "components": components,
        "dependencies": [{"ref": "fleet", "dependsOn": [one["bom-ref"] for one in components]}],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, ensure_ascii=False, indent=1)
    print()
