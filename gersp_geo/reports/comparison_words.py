"""What a comparison found, in sentences that claim no more than its intervals do."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from ..comparison.records import Interval
from ..messages import name_some
from .comparison_rows import (
    Row,
    Trial,
    excludes_zero,
    is_bounded,
    name_trial,
    place_zero,
    write_bounds,
)
from .numbers import write_share
from .page import Child, bullet_list, element, paragraph

# a figure is not parted from its sign at the end of a line
_PERCENT = '\N{NO-BREAK SPACE}%'
# so many labels that are level are named
_MOST_NAMED = 3


def summarize(rows: Sequence[Row], baseline: str | None) -> list[Element]:
    """Say which label leads by which protocol, and what is known of its difference.

    Args:
        rows: The best label of each trial first.
        baseline: That differences are to; None without.
    """
    trials: dict[Trial, list[Row]] = {}
    for row in rows:
        trials.setdefault(row.trial, []).append(row)
    if not trials:
        return [paragraph('Nothing was judged.', kind='lead')]
    if len({row.label for row in rows}) == 1:
        (row, *others) = rows
        lead = paragraph(
            element('strong', row.label), f': {_say_accuracy(row)} of the test images are right by ',
            f'{_in_text(row.trial)}.', kind='lead',
        )  # fmt: skip
        items = [_describe(found, None) for found in trials.values()]
        return [lead, *([bullet_list(items)] if others else [])]
    lead = paragraph(*_say_leaders(trials), *_say_certainty(trials, baseline), kind='lead')
    return [lead, bullet_list([_describe(found, baseline) for found in trials.values()])]


def _say_leaders(trials: Mapping[Trial, Sequence[Row]]) -> list[Child]:
    """Say which label leads by which protocol."""
    leaders: dict[tuple[str, ...], list[Trial]] = {}
    for trial, found in trials.items():
        leaders.setdefault(tuple(row.label for row in found if row.is_best), []).append(trial)
    sentence: list[Child] = []
    for names, led in leaders.items():
        by = _join([_in_text(trial) for trial in led])
        if len(led) == len(trials) > 1:
            by = 'both protocols' if len(led) == 2 else f'all {len(led)} protocols'
        verb = 'leads' if len(names) == 1 else 'lead together'
        sentence += [
            '; ' if sentence else '',
            element('strong', _name_labels(names)),
            f' {verb} by {by}',
        ]
    return [*sentence, '.']


def _say_certainty(trials: Mapping[Trial, Sequence[Row]], baseline: str | None) -> list[Child]:
    """Count the leads over the baseline whose interval excludes zero."""
    if baseline is None:
        return [' Without a baseline (--baseline), it stays open how sure that is.']
    leads = [found[0].difference for found in trials.values()]
    known = [lead for lead in leads if lead is not None and is_bounded(lead)]
    if not known:
        return []
    clear = sum(excludes_zero(one) for one in known)
    if len(known) == 1:
        told = place_zero(known[0])
    else:
        of = {0: 'none of', len(known): 'all'}.get(clear, f'{clear} of')
        told = f'excludes zero in {of} {len(known)}'
    return [f' The 95{_PERCENT} interval of the lead over the baseline {baseline} {told}.']


def limits_of_claims(rows: Sequence[Row]) -> str:
    """Say what the intervals of a page are of, and what they leave out."""
    counts = [len(row.seeds) for row in rows]
    text = 'Intervals are of 95 %. '
    if max(counts) == 1:
        text += (
            'There is one seed of each label: intervals say what other test images (few-shot: other '
            'draws of labels) could change, and nothing of how another training would turn out.'
        )
    else:
        text += (
            'With several seeds they are of the mean, and hold what other test images (few-shot: '
            'other draws of labels) and other seeds could change'
        )
        text += '; with one seed, nothing is known of other trainings.' if min(counts) == 1 else '.'
    if len({row.label for row in rows}) > 2:
        text += (
            ' The leader of several was picked by the figures that are shown, which flatters it '
            'slightly; no interval is adjusted for that.'
        )
    return text


def _describe(rows: Sequence[Row], baseline: str | None) -> Element:
    """Say of one trial who leads, by how much, and whether that is more than chance does."""
    first = rows[0]
    said: list[Child] = [
        f'{name_trial(first.trial)}: ', element('strong', first.label), f' {_say_accuracy(first)}'
    ]  # fmt: skip
    if baseline is None or not any(row.label == baseline for row in rows):
        return element('span', *said, '.')
    # the leader is told from the baseline; a leading baseline from the next one
    other = next((row for row in rows if row.label != baseline), None)
    if other is None or other.difference is None:
        return element('span', *said, '; its difference to the baseline is not known.')
    if first.label == baseline:
        said += [', the baseline; the next, ', element('strong', other.label), ', is']
    else:
        said.append(', which is')
    name = 'it' if first.label == baseline else f'the baseline {baseline}'
    return element('span', *said, f' {_say_difference(other.difference, name)}')


def _say_accuracy(row: Row) -> str:
    """Write a figure and its interval."""
    found = row.accuracy
    bounds = _say_bounds(write_bounds(found), found, unit=_PERCENT)
    return f'{write_share(found.value)}{_PERCENT} ({bounds})'


def _say_difference(found: Interval, name: str) -> str:
    """Say what a difference is, and whether its interval excludes zero."""
    size = write_share(abs(found.value))
    way = (
        f'{size} points {"above" if found.value > 0 else "below"}' if found.value else 'level with'
    )
    said = f'{way} {name} ({_say_bounds(write_bounds(found, sign="+"), found)})'
    if not is_bounded(found):
        return f'{said}, so that which of the two is better stays open.'
    more = '' if excludes_zero(found) else ', so that which of the two is better stays open'
    return f'{said}; the interval {place_zero(found)}{more}.'


def _say_bounds(bounds: str, found: Interval, *, unit: str = '') -> str:
    """Name bounds where there are some."""
    return f'95{_PERCENT} interval {bounds}{unit}' if is_bounded(found) else bounds


def _in_text(trial: Trial) -> str:
    """Name a protocol within a sentence."""
    name = name_trial(trial)
    return name if trial[0] == 'knn' else name[0].lower() + name[1:]


def _name_labels(names: Sequence[str]) -> str:
    """List the first few labels."""
    return _join(names) if len(names) <= _MOST_NAMED else name_some(names, most=_MOST_NAMED)


def _join(names: Sequence[str]) -> str:
    """Write names as 'a, b and c'."""
    return ' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)
