"""Whole fine-tuned models, backbone and head, as one file that other tools run."""
