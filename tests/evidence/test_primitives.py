"""What the checker computes for itself agrees with the standards' test vectors, and odd zips are refused before they are read."""

import ast
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from fleetapp.kit import sm3
from tests.evidence.conftest import verify_evidence

PROGRAM = Path(verify_evidence.__file__)
RFC_8032 = (  # section 7.1: public key, message, signature
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     ("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     ("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")),
)  # fmt: skip
GB_T_32905 = (  # annex A, examples 1 and 2
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
)


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_signatures_of_the_standard_hold_and_changed_ones_do_not(public, message, signature):
    key, text, signed = (bytes.fromhex(part) for part in (public, message, signature))
    holds = verify_evidence.ed25519_holds
    assert holds(key, text, signed)
    for wrong in (text + b"x", b"other"):
        assert not holds(key, wrong, signed)
    for at in (0, 31, 32, 63):
        assert not holds(key, text, signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])
    again = (
        int.from_bytes(signed[32:], "little") + verify_evidence.ORDER
    )  # the same equation, another signature: refused (5.1.7)
    assert not holds(key, text, signed[:32] + again.to_bytes(32, "little"))
    assert not holds(key, text, signed[:63])
    assert not holds(b"\xff" * 32, text, signed)


def test_signatures_of_the_library_hold():
    key = SigningKey(b"\7" * 32)
    for length in (0, 1, 63, 64, 1000):
        message = bytes(range(256)) * 4
        assert verify_evidence.ed25519_holds(
            bytes(key.verify_key), message[:length], key.sign(message[:length]).signature
        )


@pytest.mark.parametrize(("data", "digest"), GB_T_32905)
def test_sm3_is_that_of_the_standard(data, digest):
    assert (
        sm3.computed(data) == sm3.sm3(data) == verify_evidence.computed_sm3(data) == verify_evidence.sm3(data) == digest
    )


def test_sm3_agrees_with_itself_at_every_length():
    for length in range(130):
        data = os.urandom(length)
        assert sm3.computed(data) == sm3.sm3(data) == verify_evidence.computed_sm3(data)


def test_the_checker_needs_the_standard_library_alone(tmp_path):
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names
    done = subprocess.run(
        [sys.executable, "-I", "-S", PROGRAM, tmp_path / "none.zip"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "无法读取" in done.stderr) == (2, True)


def packed(*files, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as made:
        for name, content in files:
            made.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        packed(("manifest.json", b"0" * 10_000_000), compression=zipfile.ZIP_DEFLATED),
        packed(("../manifest.json", b"{}")),
        packed(("/manifest.json", b"{}")),
        packed(("文件.json", b"{}")),
        packed(*((f"{number}.txt", b"") for number in range(300))),
        packed(("other.txt", b"x")),
    ],
    ids=["bomb", "above", "absolute", "letters", "many", "no manifest"],
)
def test_odd_zips_are_refused(data):
    said = []
    assert verify_evidence.check(data, say=said.append) == 2
    assert "不符" in said[0]
