"""Octets that are nearly good: good ones cut, joined and repeated, with other bits, numbers and words in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

_NUMBERS = tuple(
    number.to_bytes(size, "big")
    for size in (1, 2, 4, 8)
    for bits in (8 * size,)
    for number in (0, 1, 2**7, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 2, 2**bits - 1)
    if number < 2**bits
)
_WORDS = (
    b"9" * 5000, b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[" * 3000, b'{"a":' * 3000, b"{}", b'""',
    b"\r\n", b"\r\n\r\n", b"\0", b"\xff\xfe", b"%s", b"../", b"1.2.3", b"0x10", b"\xed\xa0\x80", "\N{SNOWMAN}".encode(),
)  # fmt: skip
_MOST = 4
_LONGEST = 1 << 17


class Mutator:
    """Makes octets out of good ones (`seeds`)."""

    def __init__(self, seeds: Sequence[bytes], rng: Random) -> None:
        self._seeds = seeds
        self._rng = rng
        self._changes: tuple[Callable[[bytearray], None], ...] = (
            self._flip, self._flip, self._number, self._number, self._word, self._cut, self._drop, self._noise,
            self._repeat, self._join,
        )  # fmt: skip

    def octets(self) -> bytes:
        """Return a seed, changed a few times."""
        data = bytearray(self._rng.choice(self._seeds))
        for _ in range(self._rng.randint(0, _MOST)):
            self._rng.choice(self._changes)(data)
        return bytes(data[:_LONGEST])

    def _place(self, data: bytearray) -> int:
        return self._rng.randint(0, len(data))

    def _range(self, data: bytearray) -> slice:
        start, end = sorted((self._place(data), self._place(data)))
        return slice(start, end)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)

    def _number(self, data: bytearray) -> None:
        number, place = self._rng.choice(_NUMBERS), self._place(data)
        data[place : place + len(number)] = number

    def _word(self, data: bytearray) -> None:
        data[self._range(data) if self._rng.random() < 0.5 else slice(self._place(data), 0)] = self._rng.choice(_WORDS)

    def _cut(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _drop(self, data: bytearray) -> None:
        del data[self._range(data)]

    def _noise(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._rng.randbytes(self._rng.randint(1, 16))

    def _repeat(self, data: bytearray) -> None:
        of = self._range(data)
        data[of.stop : of.stop] = bytes(data[of]) * self._rng.choice((1, 2, 3, 50))

    def _join(self, data: bytearray) -> None:
        data[self._place(data) :] = self._rng.choice(self._seeds)
