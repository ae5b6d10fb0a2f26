"""The connection to a cluster of Ray, or the start of one on this machine."""

import os
import signal
import socket
from importlib import import_module
from threading import Thread, current_thread, main_thread
from typing import Any

from ...messages import one_line
from ..option_values import usable_cores
from ..options import PredictionOptions

# seconds in which the head of a cluster has to answer, and in which it has to let a driver in
_ANSWER, _ENTRY = 10.0, 20.0

# bytes; Ray takes a third of the memory for objects in common else, of which there are none
_OBJECT_STORE = 80 * 2**20


def import_ray() -> Any:
    """Import Ray, without what it tells its makers.

    Raises:
        ValueError: If it is not installed.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    try:
        return import_module('ray')
    except ModuleNotFoundError as error:
        raise ValueError(
            "a cluster needs ray, which is not installed: pip install 'gersp-geo[ray]'"
        ) from error


def connect(ray: Any, options: PredictionOptions) -> None:
    """Connect to the cluster that is meant, or start one.

    Args:
        ray: The module.
        options: Name the cluster, and how many workers it needs room for if it is started here.

    Raises:
        ValueError: If the address is none.
        OSError: If no cluster answers there, or it is of another version.
    """
    address, quiet = options.cluster, {'log_to_driver': False, 'logging_level': 'ERROR'}
    if address == 'local':
        count = 1 if options.workers == 'auto' else options.workers
        before = signal.getsignal(signal.SIGTERM)
        try:
            # here and in no other thread, as what is started ends with the thread
            ray.init(
                address=address, num_cpus=max(usable_cores(), count), include_dashboard=False,
                object_store_memory=_OBJECT_STORE, **quiet,
            )  # fmt: skip
        except (RuntimeError, ray.exceptions.RayError) as error:
            raise OSError(f'no cluster can be started here: {one_line(error)}') from error
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, before)
        return
    if address != 'auto':
        _check_address(str(address))
    errors: list[Exception] = []

    def enter() -> None:
        try:
            ray.init(address=address, **quiet)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    # what is no cluster, or one that is lost, would be waited for without an end
    thread = Thread(target=enter, name='connect', daemon=True)
    thread.start()
    thread.join(_ENTRY)
    if errors or thread.is_alive():
        reason = one_line(errors[0]) if errors else f'no answer within {_ENTRY:.0f} s'
        raise OSError(
            f'the cluster at {address} cannot be used: {reason}; pass the address of its head as '
            "'ray start' says it, with RAY_AUTH_MODE=token where it asks for a token, or 'local'"
        )


def _check_address(address: str) -> None:
    """See that somebody listens at an address."""
    host, _, port = address.rpartition(':')
    if not host or '/' in host or not port.isdecimal():
        raise ValueError(
            "cluster must be the address of a head, such as 10.0.0.1:6379, 'auto' or 'local', got "
            f'{address!r}'
        )
    try:
        socket.create_connection((host.strip('[]'), int(port)), _ANSWER).close()
    # OverflowError: a port that is none
    except (OSError, OverflowError) as error:
        raise OSError(
            f'no cluster of Ray answers at {address}: {error}; start one (ray start --head), or '
            'pass --cluster local'
        ) from error
