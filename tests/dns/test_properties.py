"""Promises to whatever arrives: hypothesis looks for bytes that break one, and shrinks them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dns.examples import NEW_YORK
from tests.dns.messages import mutate
from tests.dns.promises import (
    NAMES,
    SOURCES,
    TRANSPORTS,
    check_answer,
    encode_name,
    encode_opt,
    encode_query,
    states,
)

# A failure repeats: no examples kept from earlier runs, none drawn by chance, and no deadline,
# since a busy machine is no bug.
repeatable = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],
)

STATES = states()

any_state = st.sampled_from(STATES)
any_source = st.sampled_from(SOURCES)
any_transport = st.sampled_from(TRANSPORTS)
sixteen_bits = st.integers(0, 0xFFFF)

labels = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
ours = st.sampled_from([[label.encode() for label in n.split(".") if label] for n in NAMES])
names = st.one_of(ours, st.builds(lambda a, b: [*a, *b], labels, ours))
options = st.lists(
    st.tuples(st.sampled_from([3, 8, 10, 12, 65001]), st.binary(max_size=42)), max_size=4
)
opts = st.one_of(
    st.just(b""),
    st.builds(encode_opt, options, size=sixteen_bits, version=st.sampled_from([0, 0, 0, 1, 255]),
              flags=sixteen_bits),
)  # fmt: skip
query_flags = st.sampled_from([0, 0x0100, 0x0110, 0x0770])
types = st.one_of(st.sampled_from([1, 2, 6, 16, 28, 251, 252, 255]), sixteen_bits)
queries = st.builds(
    encode_query,
    names.map(encode_name),
    st.tuples(types, st.sampled_from([1, 1, 1, 3, 255])),
    opts,
    query_flags,
)


@repeatable
@given(st.binary(max_size=600), any_source, any_transport, any_state)
def test_any_bytes_are_answered_or_dropped_by_the_rules(data, source, transport, state) -> None:
    """Never an exception; id, flags, sections and size as promised."""
    check_answer(data, source, transport, state)


@repeatable
@given(st.binary(min_size=2, max_size=300), any_transport, any_state)
def test_any_bytes_behind_a_query_s_header_too(rest, transport, state) -> None:
    """One question and up to two more records are announced: the reader goes deep."""
    data = b"\x12\x34\x01\x00\x00\x01" + bytes([0, rest[0] % 2, 0, 0, 0, rest[1] % 2]) + rest[2:]
    check_answer(data, NEW_YORK, transport, state)


@repeatable
@given(queries, any_source, any_transport, any_state)
def test_well_formed_queries_are_answered_with_their_question(
    data, source, transport, state
) -> None:
    """Byte for byte, whatever the answer is; FORMERR comes only from options."""
    answered = check_answer(data, source, transport, state)
    assert answered is not None
    end = data.index(b"\x00", 12) + 5 if data[12] == 0 else _question_end(data)
    assert answered.data[4:6] == b"\x00\x01"
    assert answered.data[12:end] == data[12:end]
    if len(data) == end:
        assert answered.facts.rcode != "FORMERR"
        assert answered.data[10:12] == b"\x00\x00" or answered.facts.qtype == "NS"


def _question_end(data: bytes) -> int:
    offset = 12
    while data[offset]:
        offset += data[offset] + 1
    return offset + 5


@repeatable
@given(queries, st.randoms(use_true_random=False), any_source, any_transport, any_state)
def test_damaged_queries_break_no_promise(
    data: bytes, dice: random.Random, source, transport, state
) -> None:
    """Some bytes changed, an end lost, a piece doubled."""
    check_answer(mutate(data, dice), source, transport, state)


@repeatable
@given(queries, st.lists(sixteen_bits, min_size=2, max_size=3), any_state)
def test_fixed_answers_can_be_kept(data: bytes, identities: Sequence[int], state) -> None:
    """The same bytes after the id, from whichever address of the same asker: the same answer, so
    that it can be looked up instead of made."""
    first = check_answer(data, "10.3.0.1", "udp", state)
    assert first is not None
    if not first.is_fixed:
        return
    assert state.askers.find("10.3.0.1") == state.askers.find("10.3.0.77")
    for identity in identities:
        again = check_answer(identity.to_bytes(2, "big") + data[2:], "10.3.0.77", "udp", state)
        assert again is not None
        assert again.data[2:] == first.data[2:]
        assert again.facts == first.facts
