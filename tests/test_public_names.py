import importlib
import subprocess
import sys

import pytest

import gersp_geo

TOP = {
    'GeRSPDataModule', 'GeRSPTask', 'GeRSP_Weights', '__version__', 'export_backbone',
    'gersp_resnet50', 'load_backbone', 'plan_prediction', 'predict_geotiff',
}  # fmt: skip
BELOW = {
    'datasets': {'GeoTIFFPatches'},
    'samplers': {'PatchSampler'},
    'datamodules': {'GeoTIFFSegmentationDataModule', 'GeRSPDataModule'},
    'tasks': {'ChangeDetection', 'GeRSPTask', 'InstanceSegmentation', 'ObjectDetection'},
    'callbacks': {
        'CollapseMonitor',
        'ExactResume',
        'OnlineKNN',
        'PreprocessingRecord',
        'ViewPairs',
    },
}


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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GeRSPTrainer'"):
        gersp_geo.GeRSPTrainer  # noqa: B018


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = 'import gersp_geo, sys; print([m for m in ("torch", "rasterio") if m in sys.modules])'
    answer = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == '[]'
