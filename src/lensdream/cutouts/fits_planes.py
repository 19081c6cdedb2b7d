"""Planes of a FITS file, read window by window.

astropy builds a full header of every extension, 5 to 20 ms a cutout; a survey has millions. This reader takes the few cards
that a cutout needs, and then only the rows of the window. Tile-compressed files are read by astropy.
"""

from __future__ import annotations

import gzip
import math
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

NAMED_FITS = re.compile(r"\.(fits|fit|fts)(\.(gz|fz|bz2|xz|zst|zip|z))?$", re.IGNORECASE)
"""endings of the names of FITS files; files of a compression that is not read are refused by their first bytes"""
BLOCK = 2880
CARD = 80
LONGEST_HEADER = 500 * BLOCK
"""a header without END is given up here [byte]"""
DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""numpy's type of each BITPIX"""


class CutoutError(ValueError):
    """Reason why a file cannot be scored."""


class Cards:
    """Cards of one header; of equal keywords the first counts."""

    def __init__(self, text: bytes) -> None:
        """`text`: 80 bytes a card, from the first to END."""
        self.text = text
        self._offsets = {text[at : at + 8]: at for at in range(len(text) - CARD, -1, -CARD)}

    def value(self, keyword: str) -> str | None:
        """Value of a card, unquoted; None without it."""
        at = self._offsets.get(b"%-8b" % keyword.encode())
        if at is None or self.text[at + 8 : at + 9] != b"=":
            return None
        text = self.text[at + 9 : at + CARD].decode("ascii", "replace").strip()
        if text.startswith("'"):
            # A quote inside a string is written twice.
            return text[1:].replace("''", "\0").split("'")[0].replace("\0", "'").strip()
        return text.split("/")[0].strip()

    def raw(self, keywords: Iterable[str]) -> list[bytes]:
        """Whole cards with their comments, empty without one: to tell whether headers agree, ten times as fast as values."""
        offsets = (self._offsets.get(b"%-8b" % keyword.encode(), len(self.text)) for keyword in keywords)
        return [self.text[at : at + CARD] for at in offsets]

    def number(self, keyword: str) -> float | None:
        """Value of a numeric card, None without it; raises `CutoutError` where it is not a number."""
        text = self.value(keyword)
        if text is None:
            return None
        try:
            return float(text.replace("D", "E").replace("d", "e"))
        except ValueError:
            raise CutoutError(f"{keyword} of {self.value('EXTNAME')} is {text!r}, not a number") from None

    def whole(self, keyword: str, default: int | None = None) -> int:
        """Value of a card that must be a whole number; raises `CutoutError` otherwise."""
        text = self.value(keyword)
        if text is None and default is not None:
            return default
        try:
            return int(text or "")
        except ValueError:
            raise CutoutError(f"a header has {keyword} = {text!r}, expected a whole number") from None


@dataclass(frozen=True)
class Plane:
    """Extension with data, of any number of axes."""

    name: str
    shape: tuple[int, ...]
    """(y, x) of a picture; other lengths are for the caller to refuse"""
    cards: Cards
    window: Callable[[slice, slice], np.ndarray]
    """rows and columns inside the shape -> (y, x) float32, sentinels for missing values as NaN"""


@dataclass(frozen=True)
class FitsFile:
    """Open file: the cards of its first header and its planes by name, in upper case; of equal names the first."""

    primary: Cards
    planes: dict[str, Plane]


@contextmanager
def open_planes(path: Path) -> Iterator[FitsFile]:
    """Open a FITS file, gzipped or not.

    Raises `CutoutError` for one that is missing, truncated or not FITS, and for whatever is raised while it is open.
    """
    try:
        with path.open("rb", buffering=0) as raw:
            stream: BinaryIO = raw
            if raw.read(2) == b"\x1f\x8b":
                raw.seek(0)
                stream = BytesIO(gzip.decompress(raw.read()))
            size = stream.seek(0, 2)
            units = list(_units(stream, size))
            primary = units[0][0].cards
            if any(layout.cards.value("ZIMAGE") == "T" for layout, _ in units if layout.kind == "BINTABLE"):
                yield _with_astropy(path, primary)
            else:
                yield FitsFile(primary, _planes(stream, units))
    except FileNotFoundError:
        raise CutoutError("a link to nothing" if path.is_symlink() else "no such file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CutoutError(f"the gzip stream is damaged or truncated ({error}); fetch the file again") from None
    except OSError as error:
        raise CutoutError(f"cannot be read: {error.strerror or error}") from None
    except (CutoutError, MemoryError):
        raise
    # one damaged file of thousands: astropy raises what it pleases on bytes that make no sense
    except Exception as error:
        what = f"cannot be read ({type(error).__name__}: {error})"
        raise CutoutError(
            f"{what}: damaged, fetch the file again, or else report it as an error of lensdream"
        ) from error


@dataclass(frozen=True)
class _Layout:
    """Layout of the data after a header."""

    cards: Cards
    name: str
    """EXTNAME in upper case"""
    kind: str | None
    """XTENSION; None of the first unit"""
    shape: tuple[int, ...]
    bits: int
    """BITPIX"""
    length: int
    """of the data [byte]"""


# In a set of cutouts most headers (PSF, RMS, the first one) are the same in every file.
@lru_cache(maxsize=256)
def _layout(header: bytes) -> _Layout:
    cards = Cards(header)
    kind, shape, bits = cards.value("XTENSION"), _shape(cards), cards.whole("BITPIX")
    groups, extra = 1, 0
    if kind != "IMAGE":  # tables carry a heap; an image never has these
        groups, extra = cards.whole("GCOUNT", 1), cards.whole("PCOUNT", 0)
    if groups < 0 or extra < 0:
        raise CutoutError(f"a header has GCOUNT = {groups} and PCOUNT = {extra}, neither may be negative")
    length = abs(bits) // 8 * groups * (extra + math.prod(shape)) if shape else 0
    return _Layout(cards, (cards.value("EXTNAME") or "").upper(), kind, shape, bits, length)


def _units(stream: BinaryIO, size: int) -> Iterator[tuple[_Layout, int]]:
    """Layout and first byte of the data of every unit; raises `CutoutError` where one does not end inside the file."""
    if size == 0:
        raise CutoutError("the file is empty")
    stream.seek(0)
    first = stream.read(9)
    if first != b"SIMPLE  =":
        raise CutoutError(
            f"not a FITS file: it begins with {first!r}, not with SIMPLE; of packed files .gz and .fz are read"
        )
    at = 0
    while at < size:
        header = _header_at(stream, at, size)
        if at and not header.startswith(b"XTENSION="):
            return  # padding or records of a local convention after the last unit
        layout = _layout(header)
        start = at + -(-len(header) // BLOCK) * BLOCK
        if start + layout.length > size:
            raise CutoutError(
                f"truncated: the data of {layout.name or 'the first unit'} end at byte {start + layout.length}, "
                f"the file at {size}; fetch it again"
            )
        yield layout, start
        at = start + -(-layout.length // BLOCK) * BLOCK


def _header_at(stream: BinaryIO, at: int, size: int) -> bytes:
    """Cards from a byte of the file to END."""
    stream.seek(at)
    header = b""
    searched = 0
    while len(header) < LONGEST_HEADER:
        # Two blocks hold nearly every header of a cutout.
        more = stream.read(2 * BLOCK)
        header += more
        end = header.find(b"END     ", searched)
        while end != -1 and end % CARD:
            end = header.find(b"END     ", end + 1)
        if end != -1:
            return header[: end + CARD]
        if not more:
            break
        if at and not header.startswith(b"XTENSION="):
            return header[:CARD]
        searched = max(0, len(header) - CARD)
    raise CutoutError(f"truncated: the header at byte {at} has no END, the file ends at {size}; fetch it again")


def _shape(cards: Cards) -> tuple[int, ...]:
    """Lengths of the axes, the slowest first, as numpy has them."""
    axes = cards.whole("NAXIS")
    if not 0 <= axes <= 999:
        raise CutoutError(f"a header has NAXIS = {axes}, expected 0 to 999")
    lengths = tuple(cards.whole(f"NAXIS{axis}") for axis in range(axes, 0, -1))
    if any(length < 0 for length in lengths):
        raise CutoutError(f"a header has axes of {lengths} pixels, none may be negative")
    return lengths


def _planes(stream: BinaryIO, units: list[tuple[_Layout, int]]) -> dict[str, Plane]:
    planes: dict[str, Plane] = {}
    for layout, start in units:
        if layout.name and layout.name not in planes and layout.kind in (None, "IMAGE"):
            planes[layout.name] = Plane(layout.name, layout.shape, layout.cards, _window_reader(stream, layout, start))
    return planes


def _window_reader(stream: BinaryIO, layout: _Layout, start: int) -> Callable[[slice, slice], np.ndarray]:
    def window(rows: slice, columns: slice) -> np.ndarray:
        if layout.bits not in DTYPES:
            expected = ", ".join(map(str, DTYPES))
            raise CutoutError(f"{layout.name} has BITPIX = {layout.bits}, expected one of {expected}")
        dtype, width = np.dtype(DTYPES[layout.bits]), layout.shape[-1]
        # All rows of the window in one read: fewer calls cost less than fewer bytes.
        stream.seek(start + rows.start * width * dtype.itemsize)
        count = (rows.stop - rows.start) * width
        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise CutoutError(f"truncated: {layout.name} ended while it was read; fetch the file again")
        cut = np.frombuffer(data, dtype, count).reshape(-1, width)[:, columns]
        return _scaled(cut, layout.cards)

    return window


def _scaled(stored: np.ndarray, cards: Cards) -> np.ndarray:
    """Turn stored values into physical ones: float32."""
    scale, zero, blank = (cards.number(keyword) for keyword in ("BSCALE", "BZERO", "BLANK"))
    values = stored.astype(np.float32)
    if scale is not None or zero is not None:
        # In double precision: large offsets of unsigned integers would lose digits.
        values = (stored * (1.0 if scale is None else scale) + (zero or 0.0)).astype(np.float32)
    if blank is not None and stored.dtype.kind in "iu":
        values[stored == int(blank)] = np.nan
    return values


def _with_astropy(path: Path, primary: Cards) -> FitsFile:
    """Read all planes of a tile-compressed file."""
    from astropy.io import fits

    planes: dict[str, Plane] = {}
    with warnings.catch_warnings(), fits.open(path, memmap=False) as units:
        warnings.simplefilter("ignore")
        for unit in units:
            pixels = unit.data if unit.is_image and unit.name not in planes else None
            if pixels is not None and unit.name:
                values = np.asarray(pixels, np.float32)
                text = unit.header.tostring(sep="", endcard=True, padding=False).encode("ascii", "replace")
                planes[unit.name] = Plane(unit.name, values.shape, Cards(text), lambda y, x, v=values: v[y, x])
    return FitsFile(primary, planes)
