"""Parts of libraries that are not public, each used in one file: what to mend when a release moves them."""

import inspect
import re
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from torchgeo.datasets import RasterDataset
from torchgeo.models import api, get_model

import gersp_geo
from gersp_geo.models import gersp_resnet50, weights

ROOT = Path(gersp_geo.__file__).parent
# what is used, and the only file that does
PRIVATE = {
    r'torchvision\.models\._api': 'models/weights.py',
    r'\bapi\._model': 'models/weights.py',
    r'\._load_warp_file\b': 'datasets/geotiff_patches.py',
    r'\._enable_version_counter\b': 'callbacks/stop_between_steps.py',
    r'rasterio\._': 'geoio/gdal.py',
}
PRIVATE_IMPORT = re.compile(r'^\s*(?:from|import) (?!\.)[\w.]*\._\w', re.MULTILINE)


@pytest.mark.parametrize(('pattern', 'file'), PRIVATE.items())
def test_what_is_not_public_is_used_in_one_file(pattern: str, file: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob('*.py')
        if re.search(pattern, path.read_text())
    }
    assert found == {file}


def test_nothing_else_that_is_not_public_is_imported() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob('*.py')
        if PRIVATE_IMPORT.search(path.read_text())
    }
    assert found == {'models/weights.py', 'geoio/gdal.py'}


def test_torchgeo_opens_warped_files_where_they_can_be_replaced() -> None:
    # else bands that are tagged as alpha hide pixels again: datasets/geotiff_patches.py
    parameters = list(inspect.signature(vars(RasterDataset)['_load_warp_file']).parameters)
    assert parameters[:2] == ['self', 'filepath']


def test_lightning_says_whether_it_numbers_checkpoints() -> None:
    # else checkpoints of another run may be replaced: callbacks/stop_between_steps.py
    for counts in (True, False):
        saver = ModelCheckpoint(enable_version_counter=counts)
        assert vars(saver)['_enable_version_counter'] is counts


def test_without_the_registry_of_torchgeo_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(api, '_model_weights')
    with pytest.warns(
        UserWarning, match=r'torchgeo .* lists its models elsewhere .*_model_weights'
    ):
        weights.register()


def test_with_the_registry_torchgeo_builds_the_model() -> None:
    assert type(get_model('gersp_resnet50')) is type(gersp_resnet50())
