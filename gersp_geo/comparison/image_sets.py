"""Labelled images in three splits, as features are made from them."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import batched
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geoio.read import list_files
from ..preprocessing import Preprocessing
from .image_files import ImageFiles
from .image_splits import SPLITS, assign
from .records import SplitName

# files that are read at a time; decoding leaves Python's lock
READERS = 2

# images that are measured at a time
CHUNK = 64

# files beside an image that say which of its pixels are observations
SIDECARS = ('.msk', '.aux.xml')

# endings of rasters whose pixels may lie in other files
REFERRING = ('.vrt', '.img')


class ImageSet:
    """Labelled images in one folder, each in one split.

    Nothing but headers and digests is read before it is asked for, and never all at once.
    """

    classes: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    bands: tuple[str, ...]
    """Names of the bands."""

    note: str
    """Where the split comes from, as a sentence."""

    doubts: tuple[str, ...]
    """What is wrong with the split, such as equal images in two of them, as sentences."""

    digest: str
    """SHA-256 over paths in the folder, classes, splits, bands and contents of all images."""

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        split: str | PathLike[str] | None = None,
        bands: Sequence[int | str] | None = None,
        size: int = 224,
        seed: int = 0,
        begin: Callable[[str, int], Callable[[int], None]] = lambda *_: lambda _: None,
    ) -> None:
        """Initialize a new ImageSet instance; every file is read once, for its digest.

        Args:
            folder: Images in one sub-folder per class; or in folders of splits (train, val, test)
                above or below those of the classes. Pictures, or rasters of any number of bands.
            split: CSV with a column for the path or name of each image, one for its split, and one
                for its class where folders do not tell. None takes folders of splits, and without
                them draws 70, 15 and 15 % of each class by *seed*; equal files go together.
            bands: Of rasters, 1-based or by name; None takes all but alpha.
            size: Side to which whole images are resized.
            seed: Draws the split.
            begin: Called with a text and the number of files that are read; what it returns is
                called with numbers of those that are done.

        Raises:
            FileNotFoundError: If the folder, its images or the CSV are not there.
            UnreadableFileError: If a raster cannot be read.
            ValueError: If classes or splits do not tell, an image is in two splits, no image trains
                or tests, or images are not of one kind.

        Warns:
            UserWarning: Counts images that the CSV names and are not there, those that it leaves
                out, equal files in two splits or of two classes, and names classes that are not
                trained.
        """
        if size < 2:
            raise ValueError(f'size must be at least 2 px, got {size}')
        self.folder, self.size = Path(folder), size
        self._images = ImageFiles(self.folder, bands=bands)
        files = self._images.files
        advance, contents = begin('reading files', len(files)), list[str]()
        with ThreadPoolExecutor(READERS) as pool:
            for content in pool.map(hash_content, files):
                contents.append(content)
                advance(1)
        found = assign(
            files,
            self._images.names,
            self.folder,
            table=None if split is None else Path(split),
            contents=contents,
            seed=seed,
        )
        self.classes, self.bands, self.note = found.classes, self._images.bands, found.note
        self._members = {
            name: np.flatnonzero((found.splits == place) & (found.labels >= 0))
            for place, name in enumerate(SPLITS)
        }
        self._labels = found.labels
        doubts = (
            *found.warnings,
            *find_leaks(files, contents, self._members),
            *find_contradictions(files, contents, np.where(found.splits < 0, -1, found.labels)),
        )
        for text in doubts:
            warnings.warn(text, stacklevel=2)
        # a table or a page is passed on without what was said while it was made
        self.doubts = tuple(f'{text[0].upper()}{text[1:]}.' for text in doubts)
        self.digest = self._compute_digest(contents)

    def _compute_digest(self, contents: Sequence[str]) -> str:
        """Identify what features depend on, wherever the folder lies."""
        digest = hashlib.sha256(repr((self.classes, self.bands, self._images.dtype)).encode())
        for name, members in self._members.items():
            for index in members.tolist():
                path, label = self._images.names[index], int(self._labels[index])
                entry = name, path, label, contents[index]
                digest.update(repr(entry).encode())
        return digest.hexdigest()

    @property
    def dtype(self) -> str:
        """NumPy type of the values as stored."""
        return self._images.dtype

    def files(self, split: SplitName) -> list[str]:
        """List the paths of the images of a split; empty where there is no such split."""
        return [self._images.files[index] for index in self._members[split].tolist()]

    def labels(self, split: SplitName) -> Tensor:
        """Give the class of each image of a split, shape (N,), int64."""
        return torch.from_numpy(self._labels[self._members[split]])

    def read(self, split: SplitName, index: int) -> Tensor:
        """Read one image of a split, resized as torchgeo-bench 0.4 does it.

        Returns:
            float32, shape (C, *size*, *size*), values as stored; NaN where there is no observation.

        Raises:
            UnreadableFileError: If the file cannot be read.
        """
        return self._images.read(int(self._members[split][index]), size=self.size)

    def batches(self, split: SplitName, *, batch_size: int) -> Iterator[Tensor]:
        """Read the images of a split in their order; the next batch is read during the work.

        Yields:
            Images (B, C, *size*, *size*), as :meth:`read` gives them.
        """
        numbers = range(len(self._members[split]))
        with ThreadPoolExecutor(READERS) as pool:
            waiting = None
            for batch in batched(numbers, batch_size):
                started = [pool.submit(self.read, split, index) for index in batch]
                if waiting is not None:
                    yield torch.stack([future.result() for future in waiting])
                waiting = started
            if waiting is not None:
                yield torch.stack([future.result() for future in waiting])

    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure mean and standard deviation of each band over the training images.

        Returns:
            Of the pixels as stored, before resizing, that are observations; each of shape (C,). A
            band that is constant has standard deviation 1.

        Raises:
            UnreadableFileError: If a file cannot be read.
            ValueError: If a band has no observation.
        """
        return self._statistics

    @cached_property
    def _statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Join the moments of one image after the other (Chan et al., 1979), in one pass."""
        count, mean, squares = np.zeros((3, len(self.bands)))
        with ThreadPoolExecutor(READERS) as pool:
            for chunk in batched(self._members['train'].tolist(), CHUNK):
                for more, middle, spread in pool.map(self._measure, chunk):
                    total = count + more
                    share = np.divide(more, total, out=np.zeros_like(mean), where=total > 0)
                    squares += spread + (middle - mean) ** 2 * count * share
                    mean += (middle - mean) * share
                    count = total
        if (empty := np.flatnonzero(count == 0)).size:
            raise ValueError(
                f'band {self.bands[empty[0]]} has no observation in {len(self._members["train"])} '
                f'training images of {self.folder}; leave it out with bands'
            )
        std = np.sqrt(squares / count)
        # rounding leaves a trace of what is constant
        is_constant = std <= np.abs(mean) * 1e-12
        return mean, np.where(is_constant, 1.0, std)

    def _measure(self, index: int) -> tuple[NDArray[np.float64], ...]:
        """Count the observations of each band of an image; their mean and squared deviations."""
        values = self._images.read(index).flatten(1).contiguous().double().numpy()
        seen = np.isfinite(values)
        count = seen.sum(axis=1).astype(np.float64)
        total = np.where(seen, values, 0).sum(axis=1)
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        return count, mean, (np.where(seen, values - mean[:, None], 0) ** 2).sum(axis=1)

    def record(self) -> Preprocessing:
        """Describe the values by the statistics of the training images."""
        mean, std = self.statistics()
        return Preprocessing(
            bands=self.bands,
            scale=(1.0,) * len(self.bands),
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
            dtype=self.dtype,
            size=self.size,
            class_names=self.classes,
        )


def hash_content(file: str) -> str:
    """Compute SHA-256 of a file, of what it refers to, and of what says which pixels count."""
    digest = hashlib.sha256()
    parts = list_files(file) if file.lower().endswith(REFERRING) else []
    for path in dict.fromkeys((file, *(f'{file}{ending}' for ending in SIDECARS), *parts)):
        if Path(path).is_file():
            with Path(path).open('rb') as stream:
                digest.update(hashlib.file_digest(stream, 'sha256').digest())
    return digest.hexdigest()


def find_leaks(
    files: Sequence[str], contents: Sequence[str], members: dict[SplitName, NDArray[np.int64]]
) -> list[str]:
    """Find equal files in two splits: what is learned from one is tested on the other.

    Returns:
        A sentence that counts them and names two, or nothing.
    """
    first: dict[str, tuple[SplitName, str]] = {}
    equal: list[str] = []
    for name, indices in members.items():
        for index in indices.tolist():
            other = first.setdefault(contents[index], (name, files[index]))
            if other[0] != name:
                equal.append(f'{files[index]} ({name}) and {other[1]} ({other[0]})')
    if not equal:
        return []
    text = (
        f'{len(equal)} images are in two splits under two names, so that what is learned is tested: '
        f'{equal[0]} are the same file'
    )
    return [text]


def find_contradictions(
    files: Sequence[str], contents: Sequence[str], labels: NDArray[np.int64]
) -> list[str]:
    """Find equal files of two classes, of which one must be wrong; -1 is no class.

    Returns:
        A sentence that counts them and names two, or nothing.
    """
    first: dict[str, tuple[int, str]] = {}
    wrong = [
        f'{file} and {other[1]}'
        for file, content, label in zip(files, contents, labels.tolist(), strict=True)
        if label >= 0 and (other := first.setdefault(content, (label, file)))[0] != label
    ]
    if not wrong:
        return []
    return [f'{len(wrong)} images have another class than the same file elsewhere: {wrong[0]}']
