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

from bench.challenges import DIGITS_DIGEST, MNIST_DIGEST

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

_MNIST_FILE = Path("MNIST", "raw", "t10k-images-idx3-ubyte")
_DIGITS_FILE = Path("datasets", "data", "digits.csv.gz")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.pack(">2I5B", SIDE, SIDE, 8, 0, 0, 0, 0)  # 8 bits of grey, not interlaced
_INVERTED = bytes(range(255, -1, -1))

Bytes = NDArray[np.uint8]


class Pictures(Struct, frozen=True, kw_only=True):
    """The validation images of a dataset: a byte a pixel, 28 x 28 of them an image, ink is 255."""

    pixels: bytes

    def __len__(self) -> int:
        return len(self.pixels) // PIXELS

    def encode_png(self, index: int) -> bytes:
        """Return an image as a greyscale PNG, dark ink on white: the same bytes on every machine.

        Raises:
            IndexError: the dataset has no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        ink = self.pixels[index * PIXELS : (index + 1) * PIXELS].translate(_INVERTED)
        no_filter = b"\0"  # which stands before each line
        lines = [no_filter + ink[start : start + SIDE] for start in range(0, PIXELS, SIDE)]
        return _PNG_SIGNATURE + b"".join(
            (
                _encode_chunk(b"IHDR", _PNG_HEADER),
                _encode_chunk(b"IDAT", _store(b"".join(lines))),
                _encode_chunk(b"IEND", b""),
            )
        )


def load_pictures(dataset: str, folder: Path | None) -> Pictures | None:
    """Return the images of a dataset known by its digest, `None` where they are not to be had.

    MNIST is looked for in `folder`, else in `BENCH_DATA`, else in `./data`, and never downloaded;
    scikit-learn's digits where it is installed. A file that is torn or altered is as good as none.
    """
    try:
        if dataset == MNIST_DIGEST:
            return _load_mnist(folder or Path(os.environ.get("BENCH_DATA") or "data"))
        if dataset == DIGITS_DIGEST:
            return _load_digits()
    except (OSError, EOFError, zlib.error, ValueError, ImportError):
        return None
    return None


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
