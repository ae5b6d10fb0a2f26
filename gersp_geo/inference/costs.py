"""What a prediction costs: pixels, bytes, memory, time."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a prediction costs, at most."""

    pixels_kept: int
    """Pixels of the scene."""

    patches: int
    """Patches given to the model if none that is read turns out to be empty."""

    pixels_forwarded: int
    """Pixels of these; overlaps count as often as they meet."""

    blocks: int
    """Blocks of the scene."""

    blocks_read: int
    """Those that are decoded, as far as the file tells which hold anything."""

    bytes_read: int
    """Bytes of pixels that decoding them gives."""

    bytes_written: int
    """Bytes of all maps before compression, without overviews; 0 where none are made."""

    host_bytes: int
    """Most memory of the process beyond what it has when planning, the model's own apart."""

    device_bytes: int
    """Most memory on an accelerator, the model's own apart; 0 on a CPU."""

    device_rows_bytes: int
    """What of that does not depend on the size of a batch: rows that later patches may change."""

    device_free: int | None = None
    """Memory of the accelerator that is free; None on a CPU, or if not measured."""

    model_bytes: int | None = None
    """Memory that the model takes for itself while it forwards a batch; None if not measured."""

    patch_seconds: float | None = None
    """Time to forward one patch, measured on patches of zeros; None if not measured."""

    read_bytes_per_second: float | None = None
    """Rate of decoding, measured on some blocks; None if not measured."""

    @property
    def seconds(self) -> float | None:
        """Expected time to read and forward, which overlap; None if not measured."""
        if self.patch_seconds is None:
            return None
        reading = self.bytes_read / (self.read_bytes_per_second or np.inf)
        return max(self.patches * self.patch_seconds, reading)

    def lines(self) -> dict[str, str]:
        """Lay the costs out, name to text."""
        factor = self.pixels_forwarded / self.pixels_kept
        memory = [f'{readable(self.host_bytes)} of the host beside the model']
        if self.device_bytes:
            memory.append(f'{readable(self.device_bytes)} of the device')
        if self.model_bytes is not None:
            memory.append(f'{readable(self.model_bytes)} in it')
        if self.device_free is not None:
            needed = self.device_bytes + (self.model_bytes or 0)
            word = 'free there' if needed <= self.device_free else 'free there, which is too little'
            memory.append(f'{readable(self.device_free)} {word}')
        written = f'{readable(self.bytes_written)} before compression'
        return {
            'forwarded': f'{self.pixels_forwarded:,} px, {factor:.2f} times the scene, at most',
            'read': f'{self.blocks_read:,} of {self.blocks:,} blocks, '
            f'{readable(self.bytes_read)} uncompressed, at most',
            **({'written': written} if self.bytes_written else {}),
            'memory': ' and '.join(memory),
            'time': self._time(),
        }

    def _time(self) -> str:
        """Say how long it will take, and what that is based on."""
        if self.seconds is None or self.patch_seconds is None:
            return 'not measured (--calibrate)'
        forward = f'{self.patch_seconds * 1e3:.0f} ms per patch'
        rate = self.read_bytes_per_second
        reading = (
            'reading not measured (--calibrate)' if rate is None else f'{readable(rate)}/s read'
        )
        hours = f' = {self.seconds / 3600:,.1f} h' if self.seconds >= 7200 else ''
        last = 'overviews' if self.bytes_written else 'the final file'
        return f'{self.seconds:,.0f} s{hours}, without {last} ({forward}; {reading})'


def readable(count: float, *, up: bool = False) -> str:
    """Write a number of bytes with a fitting unit, rounded to a tenth of it, or up to the next."""
    if count < 1024:
        return f'{count:.0f} bytes'
    exponent = min((int(count).bit_length() - 1) // 10, 4)
    value = count / 1024**exponent
    # so that a limit that is named is enough
    shown = math.ceil(10 * value) / 10 if up else value
    return f'{shown:.1f} {("KiB", "MiB", "GiB", "TiB")[exponent - 1]}'
