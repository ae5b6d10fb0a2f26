"""What the backbones of benchmarks/reproduction.py are worth on images that were never seen.

    python benchmarks/reproduction_results.py judge WORK --runs docs/results
    python benchmarks/reproduction_results.py table --runs docs/results

`judge` runs the protocols of `gersp-geo evaluate` on the final backbones in WORK and adds what is
missing to the tables eurosat_rgb/ and ucmerced/ in the folder of --runs. `table` writes what lies
there as Markdown, with differences to the single stream that is best by validation images, or to
--baseline; it needs neither images nor backbones.
"""

import argparse
import csv
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean

import numpy as np

from gersp_geo.comparison import evaluate_weights
from gersp_geo.comparison.records import Finding, Protocol
from gersp_geo.comparison.results import ResultsTable
from gersp_geo.comparison.tables import find_differences, name_protocol, summarise, to_percent

SINGLE_STREAMS = (
    'supervised-natural',
    'supervised-natural-gentle',
    'moco-remote',
    'moco-union',
    'moco-union-released',
    'moco-union-released-gentle',
)
NO_TRAINING = ('random=random:resnet18',) * 3 + ('mean-colours',)
# variants of one method: validation images tell which is better, and the test says nothing of them
VARIANTS = ('gersp-short', '*-weight-*', '*-queue-*', '*-px', '*-steps')
LABELS = {'eurosat_rgb': 20, 'ucmerced': 5}
TRIALS: tuple[Protocol, ...] = ('knn', 'few-shot', 'linear')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    judge_words = commands.add_parser('judge')
    judge_words.add_argument('work', type=Path)
    judge_words.add_argument('--protocol', nargs='+', default=TRIALS, choices=TRIALS)
    judge_words.add_argument('--data', nargs='+', default=[*LABELS], choices=LABELS)
    table_words = commands.add_parser('table')
    table_words.add_argument('--baseline', help='default: best single stream by validation images')
    for words in (judge_words, table_words):
        words.add_argument('--runs', type=find_runs, required=True)
    options = parser.parse_args()
    if options.command == 'judge':
        judge(options.work, options.runs.resolve(), options.protocol, options.data)
    else:
        print(tabulate(options.runs, options.baseline or choose_baseline(options.runs)))


def find_runs(folder: str) -> Path:
    """Take a folder for --runs, if it is one."""
    if not (Path(folder) / 'runs.csv').exists():
        raise argparse.ArgumentTypeError(f'it must be a folder with runs.csv, got {folder}')
    return Path(folder)


def read_rows(table: Path) -> list[dict[str, str]]:
    """Read a CSV; no rows where it is not there."""
    if not table.exists():
        return []
    with table.open(newline='') as file:
        return list(csv.DictReader(file))


def name_run(row: Mapping[str, str]) -> str:
    """Name a row of runs.csv as its backbone is named."""
    return f'{row["method"]}-{row["role"]}-{row["seed"]}-{row["lr"]}'


def write_table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as Markdown; the first has the heads, the second their alignment."""
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def judge(work: Path, runs: Path, protocols: Sequence[Protocol], data: Sequence[str]) -> None:
    """Judge final backbones on some data sets, protocol by protocol."""
    # tables name backbones and images by their places in the working folder
    os.chdir(work)
    words = [*NO_TRAINING, *(f'{name_method(file)}={file}' for file in find_backbones(runs))]
    for protocol in protocols:
        for name in data:
            comparison = evaluate_weights(
                words,
                name,
                f'judged/{name}',
                split=f'{name}.csv',
                size=64,
                protocols=[protocol],
                labels_per_class=[LABELS[name]],
            )
            # features stay in the working folder
            for finding in comparison.findings:
                ResultsTable(runs / name).add(name_seed(finding))
            np.savetxt(runs / f'{name}_test.txt', comparison.images.labels, fmt='%d')


def find_backbones(runs: Path) -> list[Path]:
    """List final backbones, those of a method by their seeds, without variants.

    Those that are elsewhere, as after runs on another machine, are left out.
    """
    names = [
        name_run(row)
        for row in read_rows(runs / 'runs.csv')
        if row['role'] == 'final' and not any(fnmatch(row['method'], one) for one in VARIANTS)
    ]
    files = [Path('backbones') / f'{name}.safetensors' for name in sorted(names)]
    return [file for file in files if file.exists()]


def name_seed(finding: Finding) -> Finding:
    """Give a finding the seed of its run in place of a number among the backbones that are here."""
    _, final, rest = finding.candidate.source.partition('-final-')
    if not final:
        return finding
    seed = int(rest.partition('-')[0])
    return replace(finding, candidate=replace(finding.candidate, seed=seed))


def name_method(file: Path) -> str:
    return file.stem.partition('-final-')[0]


def choose_baseline(runs: Path) -> str:
    """Choose among single streams by the mean over seeds of validation images."""
    found = defaultdict(list)
    for row in read_rows(runs / 'runs.csv'):
        if row['role'] == 'final' and row['method'] in SINGLE_STREAMS:
            found[row['method']].append(float(row['val_knn5']))
    return max(found, key=lambda name: mean(found[name]))


def tabulate(runs: Path, baseline: str) -> str:
    """Write accuracies, and differences to a baseline.

    Raises:
        SystemExit: If rows do not belong together, or none are of the baseline.
    """
    parts = [f'Differences are to {baseline}.']
    for name in LABELS:
        findings = ResultsTable(runs / name).list_all()
        check_findings(findings, runs / name)
        labels = np.loadtxt(runs / f'{name}_test.txt', dtype=np.int64)
        figures = summarise(findings, labels)
        methods = sorted({cell[0] for cell in figures})
        if baseline not in methods:
            raise SystemExit(
                f'--baseline must be one of {", ".join(methods)} in {runs / name}, got {baseline}'
            )
        apart = find_differences(findings, labels, baseline=baseline)
        columns = list(dict.fromkeys(cell[1:] for cell in figures))
        heads = [f'{name_protocol(*pair)}{end}' for pair in columns for end in ('', ', difference')]
        rows = [['weights', 'seeds', *heads], ['---', '--:', *['---'] * len(heads)]]
        for method in methods:
            row = [f'`{method}`', str(count_seeds(findings, method))]
            for pair in columns:
                cell = (method, *pair)
                row += [to_percent(figures[cell]) if cell in figures else '']
                row += [to_percent(apart[cell], sign=True) if cell in apart else '']
            rows.append(row)
        parts += [f'## {name}', write_table(rows)]
    return '\n\n'.join(parts)


def check_findings(findings: Sequence[Finding], folder: Path) -> None:
    """Refuse rows that do not belong together.

    Raises:
        SystemExit: If they are of several data sets, or two of them of one seed, as after a second
            training.
    """
    data = {one.settings['data_digest'] for one in findings}
    cells = Counter(
        (one.candidate.label, one.candidate.seed, one.protocol, one.labels_per_class)
        for one in findings
    )
    twice = [cell for cell, count in cells.items() if count > 1]
    if len(data) > 1 or twice:
        raise SystemExit(
            f'{folder} must have one row for each seed, and all of one data set; take others out: '
            + (f'{twice[0]} is there twice' if twice else f'data {", ".join(sorted(data))}')
        )


def count_seeds(findings: Sequence[Finding], method: str) -> int:
    return len({one.candidate.seed for one in findings if one.candidate.label == method})


if __name__ == '__main__':
    main()
