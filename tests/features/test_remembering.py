"""An encoder that remembers gives the vectors of the one inside, and asks it once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.encoding import EncoderIdentity
from features.remembering import RememberingEncoder, remembered
from features.titles import KEPT, title_of


@dataclass
class Letters:
    """Counts letters; keeps what it was asked."""

    name: str = "letters"
    runs: list[list[str]] = field(default_factory=list)

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(self.name, self.name, 26)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if isinstance(texts, str):
            raise TypeError("got one str")
        self.runs.append(list(texts))
        return np.array([[t.count(chr(97 + i)) for i in range(26)] for t in texts], np.float32).reshape(
            -1, 26
        )


TEXTS = st.lists(st.sampled_from(["", "a", "ab", "abc", "b", "ba", "x" * 1_001]), max_size=9)


@given(asked=st.lists(st.tuples(TEXTS, TEXTS), max_size=6), kept=st.integers(1, 4))
def test_vectors_are_those_of_the_encoder_inside(asked, kept):
    inside = Letters()
    encoder = RememberingEncoder(inside, kept)
    for soon, texts in asked:
        encoder.announce(soon)
        assert np.array_equal(encoder.encode(texts), Letters().encode(texts))


def test_a_text_is_encoded_once_and_what_was_announced_goes_along():
    inside = Letters()
    encoder = RememberingEncoder(inside)
    encoder.announce(["title", "x" * 1_001])
    encoder.encode(["view"])
    encoder.encode(["title"])
    encoder.encode(["title", "view", "new"])
    assert inside.runs == [["view", "title"], ["new"]]


def test_what_was_announced_in_one_thread_burdens_no_other():
    inside = Letters()
    encoder = RememberingEncoder(inside)
    encoder.announce(["mine"])
    other = threading.Thread(target=encoder.encode, args=(["yours"],))
    other.start()
    other.join(60)
    assert inside.runs == [["yours"]]


def test_memory_is_bounded_and_the_latest_stay():
    inside = Letters()
    encoder = RememberingEncoder(inside, kept=10)
    for i in range(1_000):
        encoder.encode([f"text {i}", "again"])
    assert len(encoder._young) <= 10 and len(encoder._old) <= 10
    assert sum("again" in run for run in inside.runs) == 1


def test_a_changed_answer_does_not_change_what_is_remembered():
    encoder = RememberingEncoder(Letters())
    encoder.encode(["a"])[:] = 7
    assert encoder.encode(["a"])[0, 0] == 1


def test_a_bare_string_is_refused_as_by_the_encoder_inside():
    with pytest.raises(TypeError, match="got one str"):
        RememberingEncoder(Letters()).encode("text")


def test_one_for_all_who_use_the_same_encoder_and_gone_with_the_last():
    first = remembered(Letters("shared"))
    assert remembered(Letters("shared")) is first and remembered(first) is first
    assert remembered(Letters("other")) is not first
    del first
    gc.collect()
    assert remembered(Letters("shared")).encoder.runs == []


def test_titles_are_kept_as_they_are_normalised():
    assert title_of("c a m e r a").text == "camera"
    assert title_of("clock") is title_of("clock")
    assert title_of("c" * 400) is not title_of("c" * 400)
    assert KEPT >= 1_024, "a block of listings and the reasons that follow it"
