"""Checkpoints that are whole or absent."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints on local disks appear under their name only when they are complete.

    Lightning writes to the folder for temporary files first; where that is another file system, its
    last step is a copy, and a kill or a full disk during the copy leaves half a checkpoint.
    """

    def __init__(self) -> None:
        """Initialize a new AtomicCheckpointIO instance."""
        super().__init__()
        self.complete: list[str] = []
        """Checkpoints that were saved or loaded and not removed since, the last one last."""

        self.saved: str | None = None
        """The last one that was saved; None where there was none, or it was removed since."""

        self.prepare: Callable[[dict[str, Any]], None] | None = None
        """Changes what is to be saved; Lightning asks no callback where weights alone are saved."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save under a hidden name in the same folder, then rename.

        Args:
            checkpoint: What to save.
            path: Where; an address (``s3://...``) is left to Lightning.
            storage_options: Not supported, as in Lightning.

        Raises:
            OSError: If the file cannot be written; names the last complete checkpoint.
            TypeError: If *storage_options* are given.
        """
        if self.prepare is not None:
            self.prepare(checkpoint)
        if '://' in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            try:
                replace_whole(checkpoint, Path(path))
            except OSError as error:
                raise OSError(self.tell_failure(path, error)) from error
        self.note(path)
        self.saved = str(path)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, loc: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Load as Lightning does, and remember that it could be."""
        loaded = super().load_checkpoint(path, map_location, weights_only)
        self.note(path)
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove as Lightning does."""
        super().remove_checkpoint(path)
        if self.saved == str(path):
            self.saved = None
        self.complete = [kept for kept in self.complete if kept != str(path)]

    def note(self, path: str | Path) -> None:
        """Make a checkpoint the last complete one."""
        self.complete = [kept for kept in self.complete if kept != str(path)] + [str(path)]

    def tell_failure(self, path: str | Path, error: OSError) -> str:
        """Say in one line what went wrong, and where to go on."""
        advice = (
            f'the last complete checkpoint is {self.complete[-1]}, to go on from with --ckpt_path'
            if self.complete
            else 'no checkpoint was saved before'
        )
        return f'cannot write {path}: {error.strerror or error}; {advice}'


def replace_whole(checkpoint: dict[str, Any], final: Path) -> None:
    """Write a file beside its place and move it there; what fails leaves no file behind.

    Raises:
        OSError: If it cannot be written.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    # always the same name, so that what a kill leaves is overwritten by the next save
    temporary = final.with_name(f'.{final.name}.partial')
    try:
        with temporary.open('wb') as file:
            noting = NotingFile(file)
            try:
                torch.save(checkpoint, noting)  # type: ignore[arg-type]  # writes and flushes alone
            except RuntimeError as error:
                # torch reports a full disk as an unexpected position in its archive
                raise noting.error or error from error
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        # nothing is there any more where all went well
        temporary.unlink(missing_ok=True)


class NotingFile:
    """A file that remembers why it could not be written."""

    def __init__(self, file: BinaryIO) -> None:
        """Initialize a new NotingFile instance."""
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write, as files do."""
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush, as files do."""
        self.file.flush()
