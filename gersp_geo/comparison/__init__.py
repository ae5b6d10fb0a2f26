"""Weights compared on labelled images: frozen features or fine-tuning, by protocols of the field.

``candidates`` -> ``image_sets`` -> ``features`` -> ``neighbours``, ``linear_probe``, ``few_shot`` or
``finetuning`` -> ``results``, ``tables`` and a page (``reports.comparison_report``).
"""
