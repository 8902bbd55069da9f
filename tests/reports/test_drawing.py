"""Maps, strips and columns: well-formed, to scale, nothing a page's policy refuses."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.reports.drawing import Bar, Mark, Point, columns_svg, strip_svg, track_svg

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 11, 18, 0, 0, tzinfo=UTC)


def degrees(metres):
    return metres / 111_195.0


def scale_m(svg):
    """Return metres per pixel as the scale bar says it."""
    length = float(re.search(r"h(\d+\.\d)v-5", svg)[1])
    number, unit = re.search(r">(\d+) (k?m)</text>", svg).groups()
    return int(number) * (1000 if unit == "km" else 1) / length


def test_a_kilometre_to_the_north_is_a_kilometre_by_the_scale_bar():
    svg = track_svg([Point(120.15, 30.26), Point(120.15, 30.26 + degrees(1000))])
    line = ET.fromstring(svg).findall(f".//{SVG}polyline")[-1].get("points")
    (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in line.split())
    assert x1 == x2
    assert abs((y1 - y2) * scale_m(svg) - 1000) < 5


def test_east_is_to_the_right_and_north_is_up():
    svg = track_svg([Point(120.10, 30.20), Point(120.20, 30.30)])
    (x1, y1), (x2, y2) = (
        map(float, pair.split(","))
        for pair in ET.fromstring(svg).findall(f".//{SVG}polyline")[-1].get("points").split()
    )
    assert x1 < x2
    assert y1 > y2


def test_a_gap_is_dashed_and_speeds_have_their_colours():
    points = [Point(120.1, 30.2, 5), Point(120.11, 30.2, 5), Point(120.12, 30.2, 70), Point(120.13, 30.2, 70, gap=True)]
    svg = track_svg(points)
    assert svg.count("stroke-dasharray") == 1
    assert 'stroke="#d63939"' in svg
    assert 'stroke="#2fb344"' in svg


def test_roads_outside_the_picture_are_left_out():
    def road(lon):
        return {"geometry": {"coordinates": [[lon, 30.2], [lon, 30.3]]}, "properties": {"class": "arterial"}}

    near = track_svg([Point(120.1, 30.2), Point(120.12, 30.22)], roads={"features": [road(120.11)]})
    far = track_svg([Point(120.1, 30.2), Point(120.12, 30.22)], roads={"features": [road(121.5)]})
    assert near.count("#cfd6de") == 1
    assert "#cfd6de" not in far


def test_a_track_of_nothing_is_an_empty_picture():
    assert len(ET.fromstring(track_svg([]))) == 0


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(73, 135), st.floats(4, 53), st.none() | st.floats(0, 200), st.booleans()), max_size=20
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
)
def test_any_track_and_any_name_give_well_formed_svg_without_style_or_script(rows, name):
    points = [Point(*row) for row in rows]
    marks = [Mark(120.2, 30.2, "stop", "1", name)]
    svg = track_svg(points, marks=marks, parking=[(120.1, 30.1), (120.1, 30.2), (120.2, 30.2)], title=name)
    names = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}
    assert names <= {"svg", "g", "rect", "circle", "polyline", "polygon", "path", "text", "title"}
    assert not {name for element in ET.fromstring(svg).iter() for name in element.attrib} & {"style", "onload", "href"}


def test_a_strip_places_bars_by_their_time_and_cuts_what_is_outside():
    end = START + timedelta(hours=4)
    bars = [
        Bar(START + timedelta(hours=1), START + timedelta(hours=2), "#206bc4", "in"),
        Bar(START + timedelta(hours=3), START + timedelta(hours=9), "#206bc4", "over the end"),
        Bar(end, end + timedelta(hours=1), "#206bc4", "after"),
    ]
    svg = strip_svg([("行程", bars)], start=START, end=end, width=500)
    inside, cut = ET.fromstring(svg).findall(f"{SVG}rect")
    assert (float(inside.get("x")), float(inside.get("width"))) == (192.0, 100.0)
    assert (float(cut.get("x")), float(cut.get("width"))) == (392.0, 100.0)
    assert "08:00" in svg  # office time


def test_columns_are_as_high_as_their_values():
    svg = columns_svg([1, 4, 2], labels=list("abc"), titles=["", "", ""], colour="#206bc4", title="orders")
    heights = [float(rect.get("height")) for rect in ET.fromstring(svg).iter(f"{SVG}rect")]
    assert [round(height / heights[0], 1) for height in heights] == [1, 4, 2]
    assert columns_svg([], labels=[], titles=[], colour="#206bc4", title="none")
