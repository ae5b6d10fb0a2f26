"""What the classes of a whole model are called, as prediction calls them."""

from ..model.detector import name_labels
from ..model.load import LoadedModel
from ..outputs.map_values import list_class_names
from ..scene.bands import name_change
from .objects import tell_facts


def name_classes(loaded: LoadedModel, channels: int, *, has_objects: bool) -> dict[int, str]:
    """Name the classes of a model by the numbers that they have in what prediction writes.

    Args:
        loaded: The model and its record.
        channels: Of its scores.
        has_objects: Whether it is a detector, whose labels may begin at 1.

    Returns:
        Number to name, "class 3" where there is none; nothing of a regression.

    Raises:
        ValueError: If the record names another number of classes, which prediction refuses.
    """
    record = loaded.preprocessing
    if has_objects:
        facts = tell_facts(loaded)
        names = name_labels(record, classes=facts.classes)
        labels = range(int(facts.has_background), facts.classes or 0)
        return {label: f'class {label}' for label in labels} if names is None else names
    if loaded.scores == 'values':
        return {}
    is_labels = loaded.scores == 'labels'
    if loaded.dates.count == 2 and not is_labels:
        record = name_change(record, channels=channels)
    # one logit means two classes, unless it is that of a label
    count = channels if is_labels else max(channels, 2)
    return dict(enumerate(list_class_names(record, classes=count)))
