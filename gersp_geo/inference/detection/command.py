"""What ``gersp-geo predict`` and ``plan`` do with detectors: find the objects in scenes."""

from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

from ..jobs import Done, Job
from ..model.load import Forward, LoadedModel, load_model
from ..preview import check_picture
from .engine import run_detection
from .options import DetectionOptions
from .preparing import prepare_detection


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectWork:
    """Finds the objects in scenes, by one detector."""

    loaded: LoadedModel
    """The detector, loaded once for all scenes."""

    options: DetectionOptions
    """How they are found."""

    @classmethod
    def of(cls, model: str | PathLike[str] | Forward, arguments: dict[str, Any]) -> Self:
        """Check the options, and load the model.

        Args:
            model: As in :func:`.engine.detect_objects`.
            arguments: Options of :func:`.engine.detect_objects`, by name.

        Returns:
            What finds objects.

        Raises:
            FileNotFoundError: If the model does not exist.
            ValueError: If an option does not fit.
        """
        options = DetectionOptions.of(arguments)
        loaded = load_model(
            model,
            preprocessing=options.cutting.preprocessing,
            task_class=options.cutting.task_class,
        )
        return cls(loaded=loaded, options=options)

    def run(self, job: Job, *, progress: bool) -> Done:
        """Find the objects in a scene, and draw them if a picture is wanted."""
        if job.picture is not None:
            check_picture(job.picture, overwrite=self.options.cutting.overwrite)
        detection = prepare_detection(self.loaded, job.scene, job.final, self.options)
        return Done(summary=run_detection(detection, picture=job.picture, progress=progress))

    def plan(self, job: Job) -> str:
        """Say what :meth:`run` would do."""
        planned = prepare_detection(self.loaded, job.scene, job.final, self.options).plan
        return f'{planned}\n{"objects":<10} {job.final}'
