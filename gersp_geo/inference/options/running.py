"""Options of how a prediction runs: where, in which form, and by how many processes."""

import math
from dataclasses import dataclass
from typing import Literal

from ..option_values import parse_bytes, parse_shard, usable_cores
from .words import PathName, Precision, RuntimeName, option

# more readers than this wait for each other more than for the disk
_MOST_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class RunningOptions:
    """Options of how a prediction runs; none but precision and runtime decides what is made."""

    overwrite: bool = option(
        False, 'Replace existing files, and begin an interrupted prediction anew.', group='results'
    )
    device: str = option(
        'auto',
        "Where the model runs: 'auto' takes an accelerator if there is one; else a name that "
        'torch knows, such as cpu or cuda:1. Several, such as cuda:0,cuda:1, have a worker each.',
        group='running',
    )
    batch_size: int | Literal['auto'] = option(
        'auto',
        "Patches per forward pass. 'auto' takes as many as make 4 megapixels (2**22) on an "
        'accelerator, or 1 (2**20) on a CPU.',
        group='running',
    )
    threads: int | Literal['auto'] = option(
        'auto',
        "Threads that read, and that compress. 'auto' means one per core, 8 at most.",
        group='running',
    )
    memory_limit: int | str = option(
        '1GiB',
        "Memory for what grows with the width of the scene, as bytes or as text such as '512MiB',"
        ' on the host and on an accelerator each; wider scenes are cut into panels, with the same'
        ' result. Batches, the model, boxes that are not settled, and some 200 MiB for GDAL and '
        'buffers come on top.',
        group='running',
    )
    precision: Precision = option(
        'float32',
        "Type in which the model computes; 'bfloat16' is mixed precision, faster on GPUs; 'int8' "
        'rounds weights and values to 8 bits, for ranges found on patches of the scene, on a CPU '
        'with the runtimes onnx and openvino: how far that is the same is measured and said.',
        group='running',
        choices=Precision,
    )
    runtime: RuntimeName | Literal['auto'] = option(
        'auto',
        "Form in which the model runs. 'eager' is the module as it is; 'channels-last' a copy with "
        "batch normalisation folded and bands last in memory; 'compiled' that by torch.compile; "
        "'onnx' and 'openvino' are graphs, made of the module unless the model is one (extras of "
        "the same names). Each is compared with the model as it is on patches of the scene. 'auto' "
        'takes the fastest of those that are worth trying for a job of this size, else '
        'channels-last.',
        group='running',
        choices=Literal['auto', 'eager', 'channels-last', 'compiled', 'onnx', 'openvino'],
    )
    channels_last: bool = option(
        False, 'Another word for the runtime channels-last.', group='running'
    )
    compile: bool = option(False, 'Another word for the runtime compiled.', group='running')
    progress: bool = option(
        True, 'Show a progress bar on the standard error stream.', group='running'
    )
    workers: int | Literal['auto'] = option(
        'auto',
        'Processes that predict at the same time, each with the model, its share of the cores and '
        "memory_limit of memory. 'auto' means one per device that is named, and on a cluster one "
        'per accelerator, or per machine without any.',
        group='several workers',
    )
    cluster: str | None = option(
        None,
        "Run the workers on a cluster of Ray: the address of its head (HOST:PORT), 'auto' on one of "
        "its machines, or 'local' for one on this machine (extra ray). All machines see the model, "
        'the scenes and the results under the same names.',
        group='several workers',
        metavar='ADDRESS',
    )
    join: bool = option(
        False,
        'Take parts that nobody else has taken, together with other processes that run the same '
        'command on the same file system; begun and ended at any time, and whoever finds all parts '
        'done makes the file.',
        group='several workers',
    )
    lease: float = option(
        60.0,
        'Seconds without a sign of life after which the part of a worker on another machine is '
        'given to the next one; longer than a file system may take to show what others wrote.',
        group='several workers',
        metavar='SECONDS',
    )
    work: PathName | None = option(
        None,
        'Folder for finished parts and the journal, which all workers see; beside the result '
        'unless given. Results in object stores (s3://, gs://, az://) need it.',
        group='several workers',
        metavar='DIR',
    )
    shard: str | None = option(
        None,
        "Predict a share of the parts only, such as '0/3', the first of three. Processes on one "
        'file system may work on different shards at the same time.',
        group='several workers',
        metavar='I/N',
    )
    merge: bool = option(
        False,
        'Make the final file of the parts that shards have finished, and predict nothing.',
        group='several workers',
    )

    def check_running(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range, or two options do not go together.
        """
        for name in ('batch_size', 'threads', 'workers'):
            value = getattr(self, name)
            if value != 'auto' and value < 1:
                raise ValueError(f"{name} must be >= 1 or 'auto', got {value}")
        parse_bytes(self.memory_limit)
        self._check_runtime()
        self._check_workers()
        if self.shard is not None:
            parse_shard(self.shard)
            if self.overwrite or self.merge:
                raise ValueError(
                    'shard goes with neither overwrite nor merge: shards share their parts; remove '
                    'the folder of an old prediction first, and merge when all shards are done'
                )

    def _check_workers(self) -> None:
        """Check that the words for several processes go together.

        Raises:
            ValueError: If they do not.
        """
        if not 1 <= self.lease < math.inf:
            raise ValueError(f'lease must be at least 1 second, got {self.lease:g}')
        words = {
            'workers': self.workers not in ('auto', 1),
            'cluster': self.cluster is not None,
            'join': self.join,
            'shard': self.shard is not None,
            'merge': self.merge,
        }
        given = [name for name, is_given in words.items() if is_given]
        if len(given) > 1 and given != ['workers', 'cluster']:
            raise ValueError(f'{given[0]} does not go with {given[1]}; leave one of them out')
        if self.join and self.overwrite:
            raise ValueError(
                'join does not go with overwrite: each process would begin anew; remove the old '
                'result and the folder of its parts first'
            )
        if len(self.devices) > 1 and self.workers != 'auto' and self.workers < len(self.devices):
            raise ValueError(
                f'workers must be at least the number of devices, {len(self.devices)}, got '
                f'{self.workers}; name fewer devices'
            )
        words.pop('workers')
        if len(self.devices) > 1 and any(words.values()):
            raise ValueError(
                f'device {self.device!r} names several; with join, a cluster, shard or merge, a '
                'process has one: name one'
            )
        if '' in self.devices:
            raise ValueError(
                f'device names devices with a comma between two, got {self.device!r}; pass one such '
                'as cuda:0,cuda:1'
            )

    def _check_runtime(self) -> None:
        """Check that the words for a runtime go together.

        Raises:
            ValueError: If they do not.
        """
        words = {'compile': self.compile, 'channels_last': self.channels_last}
        given = [name for name, is_given in words.items() if is_given]
        if given and self.runtime not in ('auto', self.form):
            raise ValueError(
                f'{given[0]} is another word for runtime={self.form!r}, got runtime='
                f'{self.runtime!r} too; leave one out'
            )
        if self.precision == 'int8' and self.form not in ('auto', 'onnx', 'openvino'):
            raise ValueError(
                f"precision 'int8' needs the runtime onnx or openvino, got {self.form!r}; leave it to "
                'auto'
            )

    @property
    def form(self) -> RuntimeName | Literal['auto']:
        """Form in which the model is to run, by any of its words."""
        if self.compile:
            return 'compiled'
        return 'channels-last' if self.channels_last else self.runtime

    @property
    def memory_bytes(self) -> int:
        """The limit of memory in bytes."""
        return parse_bytes(self.memory_limit)

    @property
    def devices(self) -> tuple[str, ...]:
        """Where models run, one name for each."""
        return tuple(name.strip() for name in self.device.split(','))

    @property
    def is_shared(self) -> bool:
        """Whether several workers take parts of a scene as they come."""
        asks = self.workers not in ('auto', 1) or len(self.devices) > 1
        return asks or self.join or self.cluster is not None

    @property
    def thread_count(self) -> int:
        """Threads that read, and that compress."""
        if self.threads != 'auto':
            return self.threads
        return min(usable_cores(), _MOST_THREADS)
