"""The page beside exported weights, read by the client of the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gersp_geo.models import export_backbone
from gersp_geo.models.backbone_weights import BackboneWeights
from gersp_geo.models.model_card import CARD, is_untouched, write_card


def weights(**provenance: str) -> BackboneWeights:
    return BackboneWeights(
        state_dict={}, model='resnet18', in_channels=3, preprocessing=None, provenance=provenance,
        format='timm',
    )  # fmt: skip


def test_a_folder_is_ready_for_the_hub(write_format: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / 'backbone'
    export_backbone(write_format('gersp_geo.ckpt'), folder, format='timm')
    assert {path.name for path in folder.iterdir()} == {CARD, 'config.json', 'model.safetensors'}
    card = ModelCard.load(folder / CARD)
    assert (card.data.library_name, card.data.license) == ('timm', None)
    for part in ('# license: to be filled in', '## Licence\n\nThe weights state none.'):
        assert part in (folder / CARD).read_text()
    assert '| green | 0.00392156863 | 0.5 | 0.2 |' in card.text
    assert '"file": "gersp_geo.ckpt"' in card.text
    assert timm.create_model(f'local-dir:{folder}', pretrained=True)


def test_a_known_licence_data_and_figures_are_stated(tmp_path: Path) -> None:
    known = {'license': 'cc-by-4.0', 'dataset': 'Million-AID', 'figures': 'EuroSAT 97.87'}
    write_card(weights(**known), tmp_path / CARD, name='a')
    card = ModelCard.load(tmp_path / CARD)
    assert card.data.license == 'cc-by-4.0'
    for part in ('## Licence\n\ncc-by-4.0', 'Data set: Million-AID', 'report: EuroSAT 97.87'):
        assert part in card.text


def test_only_a_page_that_nobody_edited_is_replaced(
    student: dict[str, Tensor], tmp_path: Path
) -> None:
    folder = tmp_path / 'backbone'
    export_backbone(student, folder, format='timm')
    # as older exports were
    (folder / CARD).unlink()
    export_backbone(student, folder, format='timm', overwrite=True)
    export_backbone(student, folder, format='timm', overwrite=True)
    card = folder / CARD
    card.write_text(card.read_text().replace('# license: to be filled in', 'license: mit #'))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match=r'README\.md was edited'):
        export_backbone(student, folder, format='timm', overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@given(
    st.dictionaries(
        st.sampled_from(['data', 'dataset', 'license', 'figures', 'x']), st.text(st.characters())
    )
)
def test_words_of_others_stay_words(tmp_path: Path, words: dict[str, Any]) -> None:
    write_card(weights(**words), tmp_path / CARD, name='a')
    assert is_untouched(tmp_path / CARD)
    card = ModelCard.load(tmp_path / CARD)
    assert card.data.library_name == 'timm'
    # whatever they are, they begin no part of the page
    titles = [line for line in card.text.splitlines() if line.startswith(('# a', '## '))]
    parts = ('Input', 'Data', 'Figures', 'Licence', 'Provenance')
    assert titles == ['# a', *(f'## {part}' for part in parts)]


def test_published_weights_pass_on_what_is_known_of_them(tmp_path: Path) -> None:
    from gersp_geo.models.weight_sources import _facts
    from gersp_geo.models.weights import GeRSP_Weights

    write_card(weights(**_facts(GeRSP_Weights.RESNET50.meta)), tmp_path / CARD, name='a')
    text = (tmp_path / CARD).read_text()
    for part in ('The source says: unknown: the authors state none.', 'EuroSAT 97.87', '# license'):
        assert part in text
