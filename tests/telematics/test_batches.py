from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.gateway.batches import MARK, NoBlock, name_of, pack_block, pack_message, unpack_block
from telematics.gateway.writer import Incoming
from telematics.rows import Quarantined, to_row
from telematics.terminal_store import Event, Properties
from tests.telematics.running import NOW, fix

MOMENTS = st.integers(0, 10**12).map(lambda us: NOW + timedelta(microseconds=us - 10**12))
INT4, INT8 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
ROWS = st.tuples(
    INT4, MOMENTS, INT8, INT4, INT4, st.binary(max_size=40), MOMENTS, st.none() | INT8, st.none() | INT4,
    st.none() | INT4, st.none() | st.booleans(), st.booleans(), st.booleans(), INT8, st.none() | INT4,
    st.none() | st.binary(max_size=90),
)  # fmt: skip
BODIES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3)
MESSAGES = st.builds(
    Incoming,
    st.lists(ROWS, max_size=4),
    st.lists(st.builds(Quarantined, MOMENTS, st.text(), st.none() | st.text(), st.text(), st.binary()), max_size=2),
    st.lists(
        st.builds(Event, INT4, MOMENTS, MOMENTS, st.just("driver_card"), BODIES, st.binary(), st.binary()), max_size=2
    ),
    st.lists(st.builds(Properties, INT4, MOMENTS, BODIES), max_size=2),
)


@settings(max_examples=25)
@given(st.lists(MESSAGES, max_size=3))
def test_a_block_holds_its_messages_as_they_were(messages):
    block = pack_block([pack_message(message) for message in messages])
    assert unpack_block(block) == messages
    assert name_of(block) == name_of(pack_block([pack_message(message) for message in messages]))


@settings(max_examples=15)
@given(st.lists(MESSAGES, min_size=1, max_size=2), st.data())
def test_a_damaged_block_is_refused_as_a_whole(messages, data):
    block = pack_block([pack_message(message) for message in messages])
    cut = block[: data.draw(st.integers(0, len(block) - 1))]
    with pytest.raises(NoBlock):
        unpack_block(cut)


def test_a_block_of_another_layout_is_refused():
    block = pack_block([pack_message(Incoming([to_row(1, fix(), b"raw", NOW)]))])
    assert unpack_block(block)[0].rows == [to_row(1, fix(), b"raw", NOW)]
    with pytest.raises(NoBlock, match="another layout"):
        unpack_block(b"GPS0" + block[len(MARK) :])


def test_a_number_no_block_can_hold_is_refused():
    with pytest.raises(ValueError, match="format requires"):
        pack_message(Incoming([(2**40, *to_row(1, fix(), None, NOW)[1:])]))
