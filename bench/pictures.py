"""Validation images as pictures for the page, from files alone: no torch, sklearn or Pillow.

A file is read only when it is the very one that the ledger's runs were scored on; without it there
are no pictures, and nothing else is amiss.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bench.challenges import DIGITS_DIGEST, IDX, MNIST_DIGEST
from bench.errors import DataError
from bench.idx import read_idx_files, spread_classes
from bench.records import Challenge

SIDE = 28
PIXELS = SIDE * SIDE
MNIST_HEADER_BYTES = 16
MNIST_FILE_BYTES = MNIST_HEADER_BYTES + 10_000 * PIXELS
"""An IDX file: a magic number and three sizes of four bytes each, then a byte a pixel."""

MNIST_ARCHIVE_BYTES = 1_648_877
MNIST_ARCHIVE_MD5 = "9fb629c4189551a2d022fa330f9573f3"
"""MD5 of the original t10k-images-idx3-ubyte.gz, as torchvision knows it."""

MNIST_FILE_SHA256 = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
"""SHA-256 of the file that is in the archive."""

DIGITS_ROWS = 1_797
DIGITS_PIXELS = 64
DIGITS_LARGEST_BYTES = 1 << 20
"""The table of scikit-learn is 265 kB, packed 58 kB."""

MOST_SHOWN_SIDE = 64
"""Pixels a side of a picture on the page, where it is shown with 56."""

_MNIST_FILE = Path("MNIST", "raw", "t10k-images-idx3-ubyte")
_DIGITS_FILE = Path("datasets", "data", "digits.csv.gz")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2
"""Colour types of PNG."""

_INVERTED = bytes(range(255, -1, -1))

Bytes = NDArray[np.uint8]


class Pictures(Struct, frozen=True, kw_only=True):
    """The validation images of a dataset: a byte a pixel and channel, channels last.

    Where there is `ink`, 255 is the ink of a pen; else what is bright is shown bright.
    """

    pixels: bytes
    side: int = SIDE
    channels: int = 1
    ink: bool = True

    def __len__(self) -> int:
        return len(self.pixels) // self._bytes_each

    @property
    def _bytes_each(self) -> int:
        return self.channels * self.side**2

    def encode_png(self, index: int) -> bytes:
        """Return an image as a PNG, ink dark on white: the same bytes on every machine.

        Raises:
            IndexError: the dataset has no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        each, line = self._bytes_each, self.channels * self.side
        shown = self.pixels[index * each : (index + 1) * each]
        shown = shown.translate(_INVERTED) if self.ink else shown
        no_filter = b"\0"  # which stands before each line
        lines = [no_filter + shown[start : start + line] for start in range(0, each, line)]
        kind = _GREY if self.channels == 1 else _COLOUR
        header = struct.pack(">2I5B", self.side, self.side, 8, kind, 0, 0, 0)  # not interlaced
        return _PNG_SIGNATURE + b"".join(
            (
                _encode_chunk(b"IHDR", header),
                _encode_chunk(b"IDAT", _store(b"".join(lines))),
                _encode_chunk(b"IEND", b""),
            )
        )


def shrink(images: Bytes, *, ink: bool) -> Pictures:
    """Return images (N, S, S) or (N, S, S, 3) as pictures; of large ones only every nth pixel."""
    step = -(-images.shape[1] // MOST_SHOWN_SIDE)
    shown = np.ascontiguousarray(images[:, ::step, ::step])
    channels = 1 if images.ndim == 3 else 3
    return Pictures(pixels=shown.tobytes(), side=shown.shape[1], channels=channels, ink=ink)


def load_pictures(
    dataset: str, folder: Path | None, challenge: Challenge | None = None
) -> Pictures | None:
    """Return the images of a dataset known by its digest, `None` where they are not to be had.

    MNIST is looked for in `folder`, else in `BENCH_DATA`, else in `./data`, and never downloaded;
    scikit-learn's digits where it is installed. Of a challenge on files like MNIST's they are those
    in `folder`, and nowhere else. A file that is torn or altered is as good as none.
    """
    try:
        if challenge is not None and challenge.dataset == IDX:
            return _load_alike(dataset, folder, challenge) if folder is not None else None
        if dataset == MNIST_DIGEST:
            return _load_mnist(folder or Path(os.environ.get("BENCH_DATA") or "data"))
        if dataset == DIGITS_DIGEST:
            return _load_digits()
    except (OSError, EOFError, zlib.error, ValueError, ImportError, DataError):
        return None
    return None


def _load_alike(dataset: str, folder: Path, challenge: Challenge) -> Pictures | None:
    """Read files like MNIST's, and hold them against the digest that bench/datasets gives them."""
    images, labels, *validation = read_idx_files(
        folder, side=challenge.side, classes=len(challenge.classes)
    )
    order = spread_classes(labels)
    digest = _digest_arrays(images[order], labels[order], *validation)
    return shrink(validation[0], ink=True) if digest == dataset else None


def _load_mnist(folder: Path) -> Pictures | None:
    file = folder / _MNIST_FILE
    archive = file.with_suffix(".gz")
    content = _unpack_mnist(archive) or _read_at_most(file, MNIST_FILE_BYTES)
    if content is None or hashlib.sha256(content).hexdigest() != MNIST_FILE_SHA256:
        return None
    return Pictures(pixels=content[MNIST_HEADER_BYTES:])


def _unpack_mnist(file: Path) -> bytes | None:
    packed = _read_at_most(file, MNIST_ARCHIVE_BYTES)
    if packed is None:
        return None
    digest = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    return _unpack_at_most(packed, MNIST_FILE_BYTES) if digest == MNIST_ARCHIVE_MD5 else None


def _load_digits() -> Pictures | None:
    sklearn = find_spec("sklearn")
    for folder in (sklearn and sklearn.submodule_search_locations) or ():
        packed = _read_at_most(Path(folder) / _DIGITS_FILE, DIGITS_LARGEST_BYTES)
        if packed is not None:
            return _build_digits(_unpack_at_most(packed, DIGITS_LARGEST_BYTES))
    return None


def _build_digits(table: bytes) -> Pictures | None:
    """Enlarge the table's images as bench/datasets.py does, and hold them against its digest."""
    numbers = bytes(map(int, table.strip().replace(b"\n", b",").split(b",")))
    values = np.frombuffer(numbers, dtype=np.uint8).reshape(DIGITS_ROWS, DIGITS_PIXELS + 1)
    small = values[:, :-1].reshape(-1, 8, 8)
    grey = np.rint(small * (255.0 / 16.0)).astype(np.uint8)
    large = np.kron(grey, np.ones((1, 3, 3), dtype=np.uint8))
    images = np.pad(large, ((0, 0), (2, 2), (2, 2)))
    labels = values[:, -1]
    held_out = np.arange(len(labels)) % 5 == 4
    validation = images[held_out]
    digest = _digest_arrays(images[~held_out], labels[~held_out], validation, labels[held_out])
    return Pictures(pixels=validation.tobytes()) if digest == DIGITS_DIGEST else None


def _digest_arrays(*arrays: Bytes) -> str:
    """Return the digest that bench/datasets.py gives to tensors of these shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read_at_most(file: Path, most: int) -> bytes | None:
    """Return a file's content, `None` when there is no such file or it is larger than that."""
    if not file.is_file() or file.stat().st_size > most:
        return None
    with file.open("rb") as stream:
        return stream.read(most)


def _unpack_at_most(packed: bytes, most: int) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        return stream.read(most)


def _encode_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _store(content: bytes) -> bytes:
    """Return a zlib stream of one stored block (RFC 1950 and 1951), which no library may vary."""
    length = len(content)
    block = struct.pack("<BHH", 1, length, length ^ 0xFFFF) + content
    return b"\x78\x01" + block + struct.pack(">I", zlib.adler32(content))
