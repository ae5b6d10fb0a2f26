"""Weights compared on labelled images: frozen features or fine-tuning, by protocols of the field.

``candidates`` -> ``image_sets`` -> ``features`` -> ``neighbours``, ``linear_probe``, ``few_shot`` or
``finetuning`` -> ``results``, ``tables`` and a page (``reports.comparison_report``).
"""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .run import evaluate_weights

__all__ = ('evaluate_weights',)

__getattr__, __dir__ = public_names(__name__, {'evaluate_weights': 'run'})
