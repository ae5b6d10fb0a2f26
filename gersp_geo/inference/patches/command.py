"""What ``gersp-geo predict`` and ``plan`` do with backbones and classifiers: describe patches."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from ..jobs import Done, Job, Jobs
from ..model.embedder import PatchModel
from ..model.load import Forward
from ..preview import ShownScene, check_picture, write_patches_preview
from .engine import run_patches
from .options import PatchOptions, PatchTask
from .preparing import PatchJob, load_patch_model, prepare_patches


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchWork:
    """Describes the patches of scenes, by one model."""

    model: PatchModel
    """The model, loaded once for all scenes."""

    options: PatchOptions
    """How they are described."""

    @classmethod
    def of(
        cls,
        task: PatchTask,
        model: str | PathLike[str] | Forward,
        jobs: Jobs,
        arguments: dict[str, Any],
    ) -> Self:
        """Check the options, and load the model.

        Args:
            task: Vectors or classes.
            model: As in :func:`.engine.embed_scene` or :func:`.engine.classify_scene`.
            jobs: What will be done.
            arguments: Options of these functions, by name.

        Returns:
            What describes patches.

        Raises:
            FileNotFoundError: If the model does not exist.
            ValueError: If an option does not fit, or names one file beside several scenes.
        """
        options = PatchOptions.of(arguments)
        if options.raster is not None and not jobs.is_single:
            raise ValueError(
                f'raster names one file, {options.raster}, and there are several scenes; leave it out, '
                'or describe them one by one'
            )
        return cls(model=load_patch_model(task, model, options), options=options)

    def run(self, job: Job, *, progress: bool) -> Done:
        """Describe the patches of a scene, and draw them if a picture is wanted."""
        if job.picture is not None:
            check_picture(job.picture, overwrite=self.options.cutting.overwrite)
        prepared = prepare_patches(self.model, job.scene, job.final, self.options)
        if job.picture is not None and prepared.files.table is None:
            raise ValueError(
                f'a preview is drawn from a table, and {job.final} is none; write a .parquet file, '
                'with the map beside it (--raster)'
            )
        summary = run_patches(prepared, progress=progress)
        return Done(
            summary=summary, picture=None if job.picture is None else _draw(prepared, job.picture)
        )

    def plan(self, job: Job) -> str:
        """Say what :meth:`run` would do."""
        return str(prepare_patches(self.model, job.scene, job.final, self.options))


def _draw(job: PatchJob, picture: Path) -> Path:
    """Draw the scene beside its patches."""
    assert job.files.table is not None
    plan, layout = job.plan, job.layout
    scene = ShownScene(
        path=plan.source, bands=plan.bands, nodata=plan.nodata, observed=plan.observed
    )
    return write_patches_preview(
        scene, job.files.table, picture, header=plan.header, tiles=plan.tiles,
        names=layout.class_names, colors=layout.class_colors, overwrite=True,
    )  # fmt: skip
