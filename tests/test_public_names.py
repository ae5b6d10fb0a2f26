import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import gersp_geo

TOP = {
    'GeRSPDataModule', 'GeRSPTask', 'GeRSP_Weights', 'Preprocessing', '__version__',
    'classify_scene', 'detect_objects', 'embed_scene', 'export_backbone', 'gersp_resnet50',
    'load_backbone', 'plan_prediction', 'polygonize', 'predict_geotiff', 'write_objects_preview',
    'write_preview', 'write_sample_data',
}  # fmt: skip
BELOW = {
    'accuracy': {
        'MapClass', 'SampledCounts', 'assess_map', 'assess_objects', 'draw_sample',
        'estimate_accuracy', 'read_sample', 'write_csv', 'write_json',
    },
    'bands': {'RGB', 'SENTINEL2'},
    'callbacks': {
        'CollapseMonitor', 'ExactResume', 'OnlineKNN', 'PreprocessingRecord', 'ValidationReport',
        'ViewPairs', 'WarmUp',
    },
    'comparison': {'evaluate_weights'},
    'datamodules': {
        'CroppedLoveDADataModule', 'DIORBoxesDataModule', 'DOTATilesDataModule',
        'FlippedRESISC45DataModule', 'GeRSPDataModule', 'GeoTIFFChangeDetectionDataModule', 'GeoTIFFClassificationDataModule',
        'GeoTIFFInstanceSegmentationDataModule', 'GeoTIFFObjectDetectionDataModule',
        'GeoTIFFRegressionDataModule', 'GeoTIFFSegmentationDataModule', 'LabelledDataModule',
    },
    'datasets': {'GeoTIFFPatches', 'RasterTiles'},
    'geoio': {'RasterHeader', 'read_header'},
    'inference': {
        'classify_scene', 'detect_objects', 'embed_scene', 'export_model', 'plan_prediction',
        'polygonize', 'predict_geotiff', 'write_objects_preview', 'write_preview',
    },
    'labels': {'BlockLabels', 'LabelSource', 'PatchLabels', 'PixelLabels'},
    'reports': {
        'write_comparison_report', 'write_map_report', 'write_object_report', 'write_run_report',
    },
    'sample_data': {'CLASS_COLORS', 'CLASS_NAMES', 'write_sample_data'},
    'samplers': {'PatchSampler'},
    'windows': {'Window'},
    'tasks': {
        'ChangeDetection', 'GeRSPTask', 'InstanceSegmentation', 'ObjectDetection', 'PixelwiseRegression',
    },
}  # fmt: skip
# where the names of documentation stood in version 0.1
FORMER = {
    'bands': {'RGB'},
    'datasets.landscape': {'CLASS_NAMES', 'write_sample_data'},
    'geoio.reading': {'open_reader', 'read_header'},
    'inference.detection': {'detect_objects'},
    'inference.patches': {'embed_scene'},
    'inference.preview': {'write_objects_preview', 'write_preview'},
    'inference.vectorizing': {'vectorize_map'},
    'records': {'Preprocessing'},
}
ROOT = Path(__file__).parent.parent
SHOWN = re.compile(r'from (gersp_geo[\w.]*) import ([\w, ]+)')


def test_the_top_level_has_exactly_the_promised_names() -> None:
    assert set(gersp_geo.__all__) == TOP
    assert set(dir(gersp_geo)) == TOP


@pytest.mark.parametrize('name', sorted(TOP))
def test_each_top_level_name_can_be_imported(name: str) -> None:
    assert getattr(gersp_geo, name) is not None


@pytest.mark.parametrize(('package', 'names'), BELOW.items())
def test_each_name_below_can_be_imported(package: str, names: set[str]) -> None:
    module = importlib.import_module(f'gersp_geo.{package}')
    assert all(getattr(module, name) is not None for name in names)


@pytest.mark.parametrize(('package', 'names'), FORMER.items())
def test_what_documentation_imported_before_still_works(package: str, names: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        module = importlib.import_module(f'gersp_geo.{package}')
        assert all(getattr(module, name) is not None for name in names)


def test_a_former_name_warns() -> None:
    home = 'gersp_geo.inference.vectorizing'
    sys.modules.pop(home, None)
    with pytest.warns(DeprecationWarning, match=r'vectorizing is gersp_geo\.polygonize now'):
        assert importlib.import_module(home).vectorize_map is gersp_geo.polygonize


def test_documentation_imports_public_names_alone() -> None:
    pages = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('notebooks/*.ipynb')]
    pages += ROOT.glob('docs/templates/*.py')
    found = [match for page in pages for match in SHOWN.findall(page.read_text())]
    assert len(found) > 20
    public = {'gersp_geo': TOP} | {f'gersp_geo.{name}': names for name, names in BELOW.items()}
    strange = {
        f'{module}.{name}'
        for module, names in found
        for name in re.findall(r'\w+', names)
        if name not in public.get(module, set())
    }
    assert strange == set()


def test_a_module_that_cannot_be_imported_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / 'fragile'
    package.mkdir()
    (package / '__init__.py').write_text(
        'from gersp_geo.lazy import public_names\n'
        "__getattr__, __dir__ = public_names(__name__, {'wanted': 'broken'})\n"
    )
    (package / 'broken.py').write_text('import math\nmath.no_such_function\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ImportError, match=r'fragile\.broken cannot be imported: .*no_such_function'
    ):
        importlib.import_module('fragile').wanted  # noqa: B018


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GeRSPTrainer'"):
        gersp_geo.GeRSPTrainer  # noqa: B018


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = 'import gersp_geo, sys; print([m for m in ("torch", "rasterio") if m in sys.modules])'
    answer = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == '[]'
