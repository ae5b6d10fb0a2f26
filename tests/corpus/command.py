"""The command in this process, held to one clear line per error, ten seconds and 2 GiB."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# before anything is timed
import gersp_geo.inference.jobs
import gersp_geo.inference.polygons  # noqa: F401
from gersp_geo.main import main
from tests.corpus.models import Kind

type Models = dict[tuple[int, Kind], Path]
"""Graphs by number of bands and kind."""

SECONDS, BYTES = 10, 2 * 2**30


@dataclass(frozen=True)
class Command:
    """Runs ``gersp-geo`` and judges how it ends."""

    folder: Path
    """Where everything lies."""

    capture: pytest.CaptureFixture[str]
    """Of file descriptors, so that what libraries print is seen too."""

    def run(self, *words: str | Path) -> str:
        """Expect success and nothing on standard error; returns what was printed."""
        code, out, err = self._call(*words)
        assert (code, err) == (0, ''), f'{words}: {code} {err}'
        return out

    def refuse(self, *words: str | Path) -> str:
        """Expect one line of error, exit code 1 and no file more or less; returns the line."""
        before = self._files()
        code, out, err = self._call(*words)
        assert code == 1, f'{words}: {code} {out} {err}'
        assert err.startswith('gersp-geo: error: '), err
        assert err.count('\n') == 1, err
        assert self._files() == before
        return err

    def succeeds(self, *words: str | Path) -> bool:
        """Expect success or a refusal; says which."""
        code, _, err = self._call(*words)
        if code == 0:
            # scenes of nothing but zeros are unlike any training
            assert not err or (err.count('\n') == 1 and 'does not look like' in err), err
        else:
            assert code == 1, f'{words}: {err}'
            assert err.count('\n') == 1, f'{words}: {err}'
        return code == 0

    def _call(self, *words: str | Path) -> tuple[int, str, str]:
        """Run within the limits."""
        self.capture.readouterr()
        # of the processor, which others may be using as well
        held, began = _resident(), time.process_time()
        with _bounded():
            code = main([str(word) for word in words])
        seconds = time.process_time() - began
        said = self.capture.readouterr()
        assert seconds < SECONDS, f'{words} took {seconds:.1f} s'
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        # the peak may be an older one
        assert peak < max(held[1], held[0] + BYTES), f'{words} took {peak - held[0]} bytes'
        return code, said.out, said.err

    def _files(self) -> dict[Path, int]:
        """List files with their times of change."""
        found = (path for path in self.folder.rglob('*') if path.is_file())
        return {path: path.stat().st_mtime_ns for path in found}


class TooLong(BaseException):
    """Nothing that a command may take for an error of its own."""


@contextmanager
def _bounded() -> Iterator[None]:
    """End what does not end by itself, and let no allocation take all of the machine's memory."""

    def stop(number: int, frame: object) -> None:
        raise TooLong(f'more than {SECONDS} s of processor time')

    before, limits = signal.signal(signal.SIGPROF, stop), resource.getrlimit(resource.RLIMIT_AS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[0])
    # address space, of which threads reserve more than they use
    most = pages * resource.getpagesize() + 2 * BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _resident() -> tuple[int, int]:
    """Bytes that the process holds, and more than it ever held by one."""
    statm = Path('/proc/self/statm').read_text(encoding='ascii')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(statm.split()[1]) * resource.getpagesize(), peak + 1
