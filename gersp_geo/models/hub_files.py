"""Files of the Hugging Face hub, by way of its own client and cache."""

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from ..messages import name_some, one_line
from .checkpoint_files import TIMM_CONFIG, TIMM_WEIGHTS, sha256_of
from .downloads import check_download
from .remote_files import HUB, Purpose, RemoteFile

# what the file is called in a repository where none is named, best first
_NAMES: dict[Purpose, tuple[str, ...]] = {
    'backbone': (TIMM_WEIGHTS, 'pytorch_model.bin', 'model.ckpt'),
    'model': ('model.ckpt', 'model.onnx'),
}

# as in timm, and with a file as in huggingface's own file system
_WORD = re.compile(
    rf'{HUB}(?P<repo>[\w.-]+/[\w.-]+)'
    r'(?:@(?P<revision>refs/[\w-]+/[\w.-]+|[^/@]+))?(?:/(?P<file>[^@]+))?'
)

# what the client raises for whatever a network does: the bases of its own error are that of the
# library below, which is another one in each of its versions, and OSError
_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)),
)

# what a branch or tag points to, which never changes
_COMMIT = re.compile(r'[0-9a-f]{40}')

# of large files, the hub takes this for their name in the cache
_SHA256 = re.compile(r'[0-9a-f]{64}')


class _Bar(tqdm):
    """The bar of the hub's client, which stops a file that is longer than the hub said."""

    received = 0

    def update(self, n: float | None = 1) -> bool | None:
        """Count the bytes that have come, also where no bar is shown."""
        self.received += int(n or 0)
        check_download(self.received)
        is_shown: bool | None = super().update(n)
        return is_shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    """A repository of models at one revision."""

    word: str
    """As the user wrote it."""

    name: str
    """Such as org/name."""

    revision: str | None
    """Branch, tag or commit; None is the branch that the hub shows."""

    def find(self, file: str, *, revision: str | None = None) -> Path | None:
        """Find a file in the cache, or download it.

        A branch may have gained a file since the hub was asked last: what the cache knows of files
        that are not there is believed of commits, and else with a warning where the hub does not
        answer.

        Returns:
            The file; None if the repository has none of that name.

        Raises:
            FileNotFoundError: If it is not here and cannot be downloaded.
        """
        revision = revision or self.revision
        known = try_to_load_from_cache(self.name, file, revision=revision)
        if isinstance(known, str):
            return Path(known)
        # the cache knows what a repository has not, too, which holds of a commit for ever
        if known is not None and _COMMIT.fullmatch(revision or ''):
            return None
        size = None
        try:
            # without a network, downloading tries again for half a minute, and this does not
            with suppress(EntryNotFoundError):
                size = get_hf_file_metadata(hf_hub_url(self.name, file, revision=revision)).size
        except _FAILURES as error:
            if known is None:
                raise self._absent(file, error) from error
            warnings.warn(
                f'{self.word}: the hub cannot be asked for {file}, which {self.name} had not when it '
                'was asked last; name a file or a commit, and nothing is asked',
                stacklevel=2,
            )
            return None
        try:
            check_download(size or 0)
            return Path(hf_hub_download(self.name, file, revision=revision, tqdm_class=_Bar))
        except LocalEntryNotFoundError as error:
            raise self._absent(file, error) from error
        except EntryNotFoundError:
            return None
        except _FAILURES as error:
            raise self._absent(file, error) from error

    def list_files(self) -> list[str]:
        """List the files of the repository.

        Raises:
            FileNotFoundError: If the hub cannot be asked.
        """
        try:
            return HfApi().list_repo_files(self.name, revision=self.revision)
        except _FAILURES as error:
            raise self._absent('', error) from error

    def _absent(self, file: str, error: Exception) -> FileNotFoundError:
        """Say what to do about a file that cannot be had."""
        # a repository that needs a login is one that is not found, too
        if isinstance(error, GatedRepoError):
            return FileNotFoundError(
                f'{self.word}: {self.name} is given to those alone who accept its terms on '
                f'{constants.ENDPOINT}/{self.name}; do so, log in (hf auth login), and try again'
            )
        if isinstance(error, RepositoryNotFoundError):
            return FileNotFoundError(
                f'{self.word}: there is no {self.name} on {constants.ENDPOINT}, or it is private; '
                'check the name, or log in (hf auth login)'
            )
        if isinstance(error, RevisionNotFoundError):
            return FileNotFoundError(
                f'{self.word}: {self.name} has no branch, tag or commit {self.revision}'
            )
        folder = f'models--{self.name.replace("/", "--")}'
        at = '' if self.revision is None else f' --revision {self.revision}'
        return FileNotFoundError(
            f'{self.word} is not here and cannot be downloaded ({one_line(error)}); where there is '
            f'a network, run: hf download {self.name} {file}{at}, and copy the folder {folder} of '
            f'its cache into {constants.HF_HUB_CACHE}; or pass the path of the file'
        )


def obtain_from_hub(word: str, *, purpose: Purpose) -> RemoteFile:
    """Find a file of the hub in its cache, or download it.

    Args:
        word: ``hf-hub:ORG/NAME[@REVISION][/FILE]``.
        purpose: What is looked for where no file is named.

    Returns:
        The file; a folder of timm where that is what the repository holds.

    Raises:
        FileNotFoundError: If it is not here and cannot be downloaded.
        ValueError: If *word* is no such name, or the file in the cache is damaged.
    """
    parts = _WORD.fullmatch(word)
    if parts is None:
        raise ValueError(
            f'the hub has names such as {HUB}ORG/NAME, {HUB}ORG/NAME@REVISION and '
            f'{HUB}ORG/NAME/FILE, got {word}'
        )
    repository = _Repository(word=word, name=parts['repo'], revision=parts['revision'])
    wanted = _NAMES[purpose] if parts['file'] is None else (parts['file'],)
    tried = ((name, repository.find(name)) for name in wanted)
    name, path = next(((name, path) for name, path in tried if path is not None), ('', None))
    if path is None:
        held = [each for each in repository.list_files() if not each.startswith('.')]
        raise FileNotFoundError(
            f'{repository.name} has no {" or ".join(wanted)}, but {name_some(held) or "nothing"}; '
            f'name the file: {word.removesuffix(parts["file"] or "").removesuffix("/")}/FILE'
        )
    commit = path.parents[name.count('/')].name
    digest = sha256_of(path)
    _check_blob(path, digest)
    is_backbone = parts['file'] is None and name == TIMM_WEIGHTS
    if is_backbone and repository.find(TIMM_CONFIG, revision=commit) is not None:
        path = path.parent
    return RemoteFile(path=path, origin=f'{HUB}{repository.name}@{commit}/{name}', sha256=digest)


def _check_blob(path: Path, digest: str) -> None:
    """Compare a file with the checksum by which the cache calls it, where it does."""
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name) and blob.name != digest:
        raise ValueError(
            f'{path} is damaged: its SHA-256 is {digest}, and the hub says {blob.name}; remove '
            f'{blob} and {path}, and it is downloaded again'
        )
