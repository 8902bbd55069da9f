#!/usr/bin/env python3
"""Check an evidence package without a network and without the system that made it: Python's standard library is enough.

    python3 verify_evidence.py PACKAGE.zip --keys keys.json [--head audit-head-2026-11-18.json ...]

``--keys``: the public keys the bureau has published (``/evidence/keys.json``), got another way than the package itself.
``--head``: daily heads of the audit chain that somebody else has kept. What holds and what does not is printed line by
line in Chinese and English. Exit status: 0 everything holds; 1 something does not; 2 cannot be read, or asked wrongly;
3 everything holds, but no published key was given to compare the signature with.
"""

import argparse
import base64
import csv
import hashlib
import io
import json
import math
import struct
import sys
import zipfile
from datetime import datetime
from pathlib import Path

FORM, HEAD_FORM = "fleet-evidence-1", "fleet-audit-head-1"
MOST_FILES, MOST_BYTES = 200, 300 * 1024 * 1024
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
CHAIN_START = hashlib.sha256(b"fleet audit chain").hexdigest()


class Unreadable(Exception):
    """The package cannot be read at all: zh, en."""


# ---- SM3, GB/T 32905-2016 ------------------------------------------------------------------------------------------------

MASK = 0xFFFFFFFF
START = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
CONSTANTS = [0x79CC4519] * 16 + [0x7A879D8A] * 48
ROUND = [(word << j % 32 | word >> (32 - j % 32)) & MASK for j, word in enumerate(CONSTANTS)]


def sm3(data):
    """Return the SM3 of some bytes in hex, by the system's library where that has it."""
    return hashlib.new("sm3", data).hexdigest() if "sm3" in hashlib.algorithms_available else computed_sm3(data)


def computed_sm3(data):
    """Return the same computed here (clause 5)."""
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state = START
    for at in range(0, len(padded), 64):
        state = _compressed(state, padded[at : at + 64])
    return struct.pack(">8I", *state).hex()


def _compressed(state, block):
    """One block; rotations are written out: this is the innermost loop."""
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = w[j - 3]
        x = w[j - 16] ^ w[j - 9] ^ ((x << 15 | x >> 17) & MASK)
        y = w[j - 13]
        x ^= (x << 15 | x >> 17) & MASK ^ (x << 23 | x >> 9) & MASK
        w.append(x ^ ((y << 7 | y >> 25) & MASK) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        a12 = (a << 12 | a >> 20) & MASK
        x = (a12 + e + ROUND[j]) & MASK
        ss1 = (x << 7 | x >> 25) & MASK
        if j < 16:
            x, y = a ^ b ^ c, e ^ f ^ g
        else:
            x, y = a & b | a & c | b & c, e & f | (e ^ MASK) & g
        tt1 = (x + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & MASK
        tt2 = (y + h + ss1 + w[j]) & MASK
        a, b, c, d = tt1, a, (b << 9 | b >> 23) & MASK, c
        e, f, g, h = (
            tt2 ^ (tt2 << 9 | tt2 >> 23) & MASK ^ (tt2 << 17 | tt2 >> 15) & MASK,
            e,
            (f << 19 | f >> 13) & MASK,
            g,
        )
    return tuple(old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))


# ---- Ed25519, RFC 8032 section 5.1.7 ---------------------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def _point(data):
    """Decode a point (5.1.3) into extended coordinates; None if it is none."""
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    if len(data) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    sign = data[31] >> 7
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def _sum(one, other):
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number, point):
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _sum(total, point)
        point, number = _sum(point, point), number >> 1
    return total


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_holds(public, message, signature):
    """Tell whether a signature of 64 bytes is that of the message by the holder of the public key of 32 bytes."""
    key = _point(public)
    nonce = _point(signature[:32]) if len(signature) == 64 else None
    s = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = _times(s, BASE), _sum(nonce, _times(k, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def unbase64(text):
    """Return the bytes of base64url text without padding."""
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def base64url(data):
    """Return bytes as base64url text without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# ---- what is said ----------------------------------------------------------------------------------------------------------


class Findings:
    """What holds and what does not, said as it is found."""

    def __init__(self, say=print):
        self.say, self.failed, self.compared = say, 0, False

    def told(self, holds, zh, en):
        """Say one line; return whether it holds."""
        self.say(f"[{'通过 OK ' if holds else '不符 BAD'}] {zh} / {en}")
        self.failed += not holds
        return holds

    def note(self, zh, en):
        """Say what is neither."""
        self.say(f"[说明 NOTE] {zh} / {en}")


# ---- the package -----------------------------------------------------------------------------------------------------------


def read_package(data):
    """Return the files of a package by name.

    :raises Unreadable: no zip, or one that no evidence package is: too large, packed, encrypted, odd names.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
            names = [entry.filename for entry in entries]
            if len(names) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise Unreadable("文件过多或过大", "too many files, or too large")
            if len(set(names)) != len(names):
                raise Unreadable("压缩包内有重名文件", "two files have one name")
            for entry in entries:
                plain = entry.filename.isascii() and not entry.filename.startswith("/") and ".." not in entry.filename
                if (
                    not plain
                    or "\\" in entry.filename
                    or entry.flag_bits & 1
                    or entry.compress_type != zipfile.ZIP_STORED
                ):
                    raise Unreadable(
                        f"不是取证包应有的文件：{entry.filename!r}",
                        f"not a file of an evidence package: {entry.filename!r}",
                    )
            return {name: package.read(name) for name in names}
    except Unreadable:
        raise
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        raise Unreadable(f"压缩包已损坏或被改动：{error}", f"the zip is damaged or was altered: {error}") from error


def write_package(files):
    """Return the one zip that these files make: sorted, not packed, without times."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            package.writestr(entry, files[name])
    return out.getvalue()


def check_signature(found, files, keys):
    """Check who signed the manifest."""
    signed = json.loads(files[SIGNATURE])
    public, signature = unbase64(signed["public"]), unbase64(signed["signature"])
    whole = ed25519_holds(public, FORM.encode() + b"\n" + files[MANIFEST], signature)
    # Written in one way only: what the signature does not cover cannot be changed unseen either.
    name = hashlib.sha256(public).hexdigest()[:6]
    kept = {"algorithm": "Ed25519", "key": name, "public": base64url(public), "signature": base64url(signature)}
    whole = whole and files[SIGNATURE] == (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode()
    found.told(whole, "清单签名（Ed25519）", "signature of the manifest (Ed25519)")
    if not whole:
        return
    if keys is None:
        found.note(
            f"未提供公布的公钥，无法确认签名者；包内公钥编号 {name}",
            f"no published key given: who signed is not established; key in the package {name}",
        )
    else:
        found.compared = True
        found.told(public in keys, f"签名公钥 {name} 在公布的公钥之内", f"key {name} is one of the published keys")


def check_files(found, files, manifest):
    """Check every file against the manifest, by name."""
    listed = {row["path"]: row for row in manifest["files"]}
    for name in sorted(listed.keys() | files.keys() - {MANIFEST, SIGNATURE}):
        row, data = listed.get(name), files.get(name)
        if data is None:
            found.told(False, f"{name}：缺失", f"{name}: missing")
        elif row is None:
            found.told(False, f"{name}：清单中没有，为后来加入", f"{name}: not in the manifest, was added")
        else:
            same = (len(data), hashlib.sha256(data).hexdigest(), sm3(data)) == (row["bytes"], row["sha256"], row["sm3"])
            found.told(
                same,
                f"{name}：SHA-256、SM3" + ("" if same else " 不一致，内容被改动"),
                f"{name}: SHA-256, SM3" + ("" if same else " differ: altered"),
            )


def moment(text):
    """Return a moment written as ISO 8601."""
    return datetime.fromisoformat(text)


def distance_m(rows, how):
    """Return the metres driven over positions (seconds, lat, lon, km/h or None) by the method that the figures state.

    Positions within ``block_s`` are averaged; one counts when it is ``hold_m`` (standing: ``hold_still_m``) from the last
    that counted; nothing is added over a silence of ``gap_s``.
    """
    blocks, slot = [], None
    for at, lat, lon, speed in rows:
        mine = math.floor((at - rows[0][0]) / how["block_s"])
        if mine != slot:
            blocks.append([])
            slot = mine
        blocks[-1].append((at, lat, lon, speed is not None and speed < how["still_kmh"]))
    means = [tuple(math.fsum(column) / len(block) for column in list(zip(*block, strict=True))[:3]) for block in blocks]
    standing = [all(row[3] for row in block) for block in blocks]
    total, anchor = 0.0, None
    for k, (at, lat, lon) in enumerate(means):
        if k == 0 or at - means[k - 1][0] > how["gap_s"]:
            anchor = lat, lon
            continue
        east = (lon - anchor[1]) * (math.cos(math.radians(lat)) + math.cos(math.radians(anchor[0]))) / 2
        step = how["metres_per_degree"] * math.hypot(east, lat - anchor[0])
        if step >= how["hold_still_m" if standing[k] and standing[k - 1] else "hold_m"]:
            total += step
            anchor = lat, lon
    return total


def check_figures(found, files):
    """Recompute what can be recomputed: the track's hash, distances, durations, scores."""
    figures = json.loads(files["figures.json"])
    rows = list(csv.DictReader(io.StringIO(files["track.csv"].decode("utf-8-sig"))))
    lines = "".join(f"{row['at_utc']} {row['digest']} {row['raw_sha256'] or '-'}\n" for row in rows)
    stated = figures["track"]
    found.told(
        (len(rows), hashlib.sha256(lines.encode()).hexdigest()) == (stated["fixes"], stated["sha256"]),
        f"轨迹 {len(rows)} 点的原始报文清单哈希",
        f"hash over the {len(rows)} positions and their raw frames",
    )
    for trip in figures["trips"]:
        number = trip["trip"]
        mine = [row for row in rows if row["trip"] == str(number)]
        if len(mine) != trip["positions"]:
            found.note(
                f"行程 {number}：包内 {len(mine)} 点，计算用 {trip['positions']} 点，里程不能重算",
                f"trip {number}: {len(mine)} of the {trip['positions']} positions it was computed from are here; its distance is not recomputed",
            )
        else:
            points = [
                (
                    moment(row["at_utc"]).timestamp(),
                    float(row["lat"]),
                    float(row["lon"]),
                    float(row["speed_kmh"]) if row["speed_kmh"] else None,
                )
                for row in mine
            ]
            metres = distance_m(points, figures["distance_method"])
            found.told(
                abs(metres - trip["gps_m"]) <= max(1.0, 0.001 * metres),
                f"行程 {number}：按定位重算 {metres:.1f} m，记载 {trip['gps_m']:.1f} m",
                f"trip {number}: {metres:.1f} m recomputed from positions, {trip['gps_m']:.1f} m stated",
            )
    for what, zh, en in (("trips", "行程", "trip"), ("stays", "停留", "stay")):
        wrong = [
            row
            for row in figures[what]
            if abs((moment(row["end_at"]) - moment(row["start_at"])).total_seconds() - row["duration_s"]) > 0.001
        ]
        found.told(not wrong, f"{zh}时长 {len(figures[what])} 项", f"durations: {len(figures[what])} of kind {en}")
    for row in figures["matches"]:
        if row["score"] is not None:
            total = math.fsum(row["weights"][part] * value for part, value in row["parts"].items())
            found.told(
                abs(total - row["score"]) <= 0.0006,
                f"行程 {row['trip']} 与 {row['order']} 得分：重算 {total:.4f}，记载 {row['score']:.4f}",
                f"trip {row['trip']} and {row['order']}: score {total:.4f} recomputed, {row['score']:.4f} stated",
            )


def check_seals(found, seals, entries):
    """Recompute the root of each day's seal and find it in the audit chain."""
    for seal in seals:
        whole = hashlib.sha256(f"{seal['day']} {seal['since_us']} {seal['as_of_us']}\n".encode())
        for terminal, fixes, digest in seal["parts"]:
            whole.update(f"{terminal} {fixes} {digest}\n".encode())
        entry = next((row for row in entries if row["seq"] == seal["entry"]), None)
        chained = entry is not None and json.loads(entry["content"])[8].get("root") == seal["root"]
        found.told(
            whole.hexdigest() == seal["root"] and chained,
            f"{seal['day']} 定位封存值与审计链第 {seal['entry']} 条",
            f"seal of positions of {seal['day']} and audit entry {seal['entry']}",
        )


def check_head(found, document, keys, entries, whose):
    """Check a published head and that the package's entries agree with it."""
    head, signed = (
        document["head"],
        json.dumps(document["head"], sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    )
    public = unbase64(document["public"])
    holds = ed25519_holds(public, f"{HEAD_FORM}\n{signed}".encode(), unbase64(document["signature"])) and (
        keys is None or public in keys
    )
    found.told(
        holds,
        f"{whose}审计链头 {head['day']}（第 {head['seq']} 条）签名",
        f"signature of the audit head of {head['day']} (entry {head['seq']})",
    )
    mine = next((row for row in entries if row["seq"] == head["seq"]), None)
    if mine is not None:
        found.told(
            mine["hash"] == head["hash"],
            f"审计第 {head['seq']} 条与链头一致",
            f"audit entry {head['seq']} agrees with the head",
        )


def check_chain(found, files, manifest, keys, heads):
    """Recompute the audit entries of the case and their links."""
    chain = json.loads(files["chain.json"])
    entries, before = chain["entries"], None
    for entry in entries:
        right = (
            hashlib.sha256(bytes.fromhex(entry["prev_hash"]) + entry["content"].encode()).hexdigest() == entry["hash"]
        )
        linked = entry["seq"] == json.loads(entry["content"])[0]
        if entry["seq"] == 1:
            linked = linked and entry["prev_hash"] == CHAIN_START
        if before is not None and before["seq"] == entry["seq"] - 1:
            linked = linked and entry["prev_hash"] == before["hash"]
        if not (right and linked):
            found.told(False, f"审计第 {entry['seq']} 条哈希", f"hash of audit entry {entry['seq']}")
        before = entry
    found.told(
        chain["head"] == manifest["chain_head"],
        f"审计记录 {len(entries)} 条，至第 {chain['head']['seq']} 条",
        f"{len(entries)} audit entries, up to {chain['head']['seq']}",
    )
    check_seals(found, chain["seals"], entries)
    if not chain["seals"]:
        found.note("轨迹所在日尚未封存", "no seal covers the track yet")
    for document, whose in [(chain["published"], "包内"), *((head, "另存") for head in heads)]:
        if document:
            check_head(found, document, keys, entries, whose)


def check(data, keys=None, heads=(), say=print):
    """Check a package; returns the exit status."""
    found = Findings(say)
    try:
        files = read_package(data)
        for name in (MANIFEST, SIGNATURE):
            if name not in files:
                raise Unreadable(f"缺少 {name}", f"{name} is missing")
        found.told(
            write_package(files) == data,
            "压缩包为规定的格式，没有夹带内容",
            "the zip is in its one form, nothing is tucked in",
        )
        manifest = json.loads(files[MANIFEST])
        if manifest["form"] != FORM:
            raise Unreadable("不是本程序能检验的格式", "not a form this program checks")
        found.say(f"{manifest['case']}  {manifest['generator']}  {manifest['state_at']}")
    except Unreadable as error:
        say(f"[不符 BAD] {error.args[0]} / {error.args[1]}")
        return 2
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"[不符 BAD] {MANIFEST}：无法读取，内容被改动 / {MANIFEST}: cannot be read, altered: {error!r}")
        return 1
    steps = (
        (SIGNATURE, lambda: check_signature(found, files, keys)), (MANIFEST, lambda: check_files(found, files, manifest)),
        ("figures.json", lambda: check_figures(found, files)), ("chain.json", lambda: check_chain(found, files, manifest, keys, heads)),
    )  # fmt: skip
    for name, step in steps:
        try:
            step()
        except Exception as error:  # whatever a forger wrote into it, the rest is still checked
            found.told(
                False,
                f"{name}：无法核对，内容被改动或缺失",
                f"{name}: cannot be checked, altered or missing: {error!r}",
            )
    if found.failed:
        say(
            f"结论：{found.failed} 项不符，不能作为证据使用 / {found.failed} points do not hold: not to be used as evidence"
        )
        return 1
    if not found.compared:
        say("结论：内容完整一致，但未与公布的公钥核对 / whole and consistent, but not compared with a published key")
        return 3
    say("结论：全部通过 / everything holds")
    return 0


def read_keys(text):
    """Return the public keys of a published file."""
    return {unbase64(row["public"]) for row in json.loads(text)["keys"]}


def main(arguments=None):
    """Read the files named on the command line and check."""
    parser = argparse.ArgumentParser(
        description="检验取证包 / check an evidence package",
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("package", help="取证包 / the package (.zip)")
    parser.add_argument("--keys", help="公布的公钥 / published keys (.json)")
    parser.add_argument(
        "--head", action="append", default=[], help="另存的审计链头 / a head of the audit chain kept elsewhere (.json)"
    )
    asked = parser.parse_args(arguments)
    try:
        if Path(asked.package).stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        data = Path(asked.package).read_bytes()
        keys = read_keys(Path(asked.keys).read_text(encoding="utf-8")) if asked.keys else None
        heads = [json.loads(Path(name).read_text(encoding="utf-8")) for name in asked.head]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"无法读取 / cannot be read: {error}", file=sys.stderr)
        return 2
    return check(data, keys, heads)


if __name__ == "__main__":
    sys.exit(main())
