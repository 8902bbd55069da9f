"""Pictures lose what a camera wrote beside them and nothing of what they show; what cannot be taken apart is refused."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational
from sqlalchemy import text

from fleetapp.attachments import pictures, queries, rules, service
from fleetapp.kit.errors import RuleBroken

KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
SECRETS = (b"Exif\x00\x00II", b"HANGZHOU", b"2026:11:18", b"xpacket", b"GPS")
PROFILE = b"a colour profile" * 20
XMP = b"<?xpacket begin=?><x:xmpmeta>HANGZHOU</x:xmpmeta>"


def picture():
    made = Image.new("RGB", (16, 8), "white")
    for x in range(8):
        for y in range(4):
            made.putpixel((x, y), (200, 20 * x, 30 * y))
    return made


def taken(form, *, up=1, **more):
    """Return a picture as a phone takes it: position, time, maker, XMP, colour profile."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = up, "HANGZHOU phones", "2026:11:18 09:00:00"
    exif[0x8825] = {
        1: "N",
        2: tuple(map(IFDRational, (30, 15, 20))),
        3: "E",
        4: tuple(map(IFDRational, (120, 9, 18))),
        29: "2026:11:18",
    }
    out = io.BytesIO()
    picture().save(
        out,
        form,
        exif=exif.tobytes(),
        xmp=XMP,
        icc_profile=PROFILE,
        **({"lossless": True} if form == "WEBP" else {}),
        **more,
    )
    return out.getvalue()


def opened(content):
    found = Image.open(io.BytesIO(content))
    found.load()
    return found


@pytest.mark.parametrize("form", KINDS)
def test_position_time_and_maker_go_and_every_pixel_stays(form):
    before = taken(form)
    assert dict(opened(before).getexif().get_ifd(0x8825)), "the picture says where it was taken"
    after = pictures.stripped(KINDS[form], before)
    assert not dict(opened(after).getexif())
    assert not [secret for secret in SECRETS if secret in after]
    assert opened(after).tobytes() == opened(before).tobytes()
    assert opened(after).info["icc_profile"] == PROFILE
    assert pictures.stripped(KINDS[form], after) == after


@pytest.mark.parametrize("up", range(1, 9))
@pytest.mark.parametrize("more", [{}, {"progressive": True}])
def test_a_photograph_still_stands_upright(up, more):
    before = taken("JPEG", up=up, **more)
    after = pictures.stripped("image/jpeg", before)
    assert dict(opened(after).getexif()) == ({} if up == 1 else {0x0112: up})
    stood, stands = (ImageOps.exif_transpose(opened(content)) for content in (before, after))
    assert (stood.size, stood.tobytes()) == (stands.size, stands.tobytes())


def test_comments_and_what_follows_the_end_go():
    before = taken("JPEG", comment=b"HANGZHOU")
    assert pictures.stripped("image/jpeg", before + b"\xff\xd8 a video of HANGZHOU") == pictures.stripped(
        "image/jpeg", before
    )
    assert b"HANGZHOU" not in pictures.stripped("image/jpeg", before)
    words = PngImagePlugin.PngInfo()
    words.add_text("Location", "HANGZHOU")
    words.add_itxt("Author", "HANGZHOU")
    out = io.BytesIO()
    picture().save(out, "PNG", pnginfo=words)
    assert b"HANGZHOU" in out.getvalue()
    assert b"HANGZHOU" not in pictures.stripped("image/png", out.getvalue())


def test_a_photograph_without_its_end_is_taken_as_far_as_it_goes():
    whole = pictures.stripped("image/jpeg", taken("JPEG"))
    cut = pictures.stripped("image/jpeg", taken("JPEG")[:-2])
    assert cut == whole[:-2]


@pytest.mark.parametrize("form", KINDS)
def test_what_cannot_be_taken_apart_is_refused_if_it_may_hold_a_position(form):
    ending = form.lower()
    whole = taken(form)
    cut = whole[
        : whole.index({"JPEG": b"\xff\xda", "PNG": b"IEND", "WEBP": b"VP8L"}[form]) + (0 if form == "JPEG" else 4)
    ]
    if form == "WEBP":
        cut += b"\xff" * 4 + b"EXIF"
    with pytest.raises(RuleBroken) as refused:
        rules.kept(KINDS[form], f"a.{ending}", cut)
    assert refused.value.code == "attachments.damaged"
    plain = {
        "JPEG": b"\xff\xd8\xff nothing",
        "PNG": b"\x89PNG\r\n\x1a\n nothing",
        "WEBP": b"RIFF\xff\x00\x00\x00WEBPVP8 ",
    }[form]
    assert rules.kept(KINDS[form], f"a.{ending}", plain) == plain


@settings(max_examples=60, deadline=None)
@given(form=st.sampled_from(sorted(KINDS)), at=st.integers(3, 2_000), byte=st.integers(0, 255))
def test_a_damaged_picture_is_stripped_or_refused_and_never_breaks_the_reader(form, at, byte):
    content = bytearray(taken(form))
    content[at % len(content)] = byte
    try:
        after = pictures.stripped(KINDS[form], bytes(content))
    except pictures.Unreadable:
        return
    assert b"Exif\x00\x00II" not in after
    assert b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x04" not in after


def test_a_chunk_in_the_exif_of_a_png_goes_even_if_it_is_written_by_hand():
    exif = b"eXIf" + b"MM\x00*HANGZHOU"
    chunk = struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
    out = io.BytesIO()
    picture().save(out, "PNG")
    content = out.getvalue()
    assert pictures.stripped("image/png", content[:33] + chunk + content[33:]) == content


def test_every_file_passes_there_on_its_way_into_the_database(database, acting, now):
    who = acting("fleet_manager.xihu")
    with database.transaction(who) as session:
        made = service.attach(session, org_id=who.org_id, subject_type="vehicle", subject_id=1, label="photo", name="a.jpg",
                              content=taken("JPEG", up=6), actor=who, now=now)  # fmt: skip
        _, content = queries.get_content(session, attachment_id=made.id, actor=who)
        assert made.size == len(content)
        assert (
            made.sha256 == rules.digest(content) == session.scalar(text("SELECT max(sha256) FROM attachment_content"))
        )
        assert dict(opened(content).getexif()) == {0x0112: 6}
