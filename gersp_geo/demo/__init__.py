"""The main job on sample data: pre-train, export, fine-tune, predict, and a picture of it."""

from .run import DemoReport, run_demo

__all__ = ('DemoReport', 'run_demo')
