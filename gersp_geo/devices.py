"""The device that work is done on."""

import torch


def find_device(device: str) -> str:
    """Choose an accelerator if there is one; refuse a device that is not there.

    Raises:
        ValueError: If *device* cannot be used.
    """
    if device != 'auto':
        try:
            torch.empty(0, device=device)
        # AssertionError is what builds of torch without CUDA raise
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition('\n')[0]
            raise ValueError(f'device {device!r} cannot be used: {reason}') from error
        kind = torch.device(device).type
        if kind == 'meta':
            raise ValueError(
                "device 'meta' holds no numbers; pass cpu, cuda, or another one that computes"
            )
        # of the one processor, whatever number it is given
        return 'cpu' if kind == 'cpu' else device
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return 'cpu' if accelerator is None else accelerator.type
