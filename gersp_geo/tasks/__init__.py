"""Tasks: GeRSP pre-training."""

from .gersp import GeRSPTask

__all__ = ('GeRSPTask',)
