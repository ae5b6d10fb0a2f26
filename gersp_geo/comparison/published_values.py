"""Values that others have published, with where they stand; facts alone, nothing is calculated.

Those of torchgeo-bench are rows of ``results/models`` in https://github.com/torchgeo/torchgeo-bench
with bands rgb, 224 pixels, bilinear, z-scores of the data's own statistics (bandspec_zscore), 200
resamples and seed 0, at the commits named. These are later than its version 0.4; its list of changes
names none of the two protocols. Those of the GeRSP paper are its Table I.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSet:
    """A labelled data set with a split whose sizes are known."""

    classes: int
    n_train: int
    n_val: int
    n_test: int

    reflectances: bool
    """Whether file values are those of Sentinel-2 products, not bytes of pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedValue:
    """A value and its 95 % interval."""

    data: str
    sources: tuple[str, ...]
    """What a user of this package calls the weights; () where they cannot be had by a name."""

    weights: str
    """What the publication calls them."""

    protocol: str
    """'knn', 'linear' or 'finetune'."""

    value: float
    """Per cent."""

    spread: str
    """Interval or standard deviation, as printed."""

    digits: int
    """After the point, as printed."""

    by: str
    where: str


SETS = {
    'm-eurosat': PublishedSet(
        classes=10, n_train=2000, n_val=1000, n_test=1000, reflectances=True
    ),
    'eurosat-spatial': PublishedSet(
        classes=10, n_train=16200, n_val=5400, n_test=5400, reflectances=True
    ),
    'resisc45': PublishedSet(
        classes=45, n_train=18900, n_val=6300, n_test=6300, reflectances=False
    ),
    'aid': PublishedSet(classes=30, n_train=6000, n_val=2000, n_test=2000, reflectances=False),
}  # fmt: skip

_FILES = {
    # name: (commit, names here)
    'resnet18': ('1b89caba8b93', ('timm:resnet18', 'timm:resnet18.a1_in1k')),
    'resnet50': ('1b5c081bdf2c', ('timm:resnet50', 'timm:resnet50.a1_in1k')),
    'imagestats': ('1b89caba8b93', ('image-statistics',)),
    'tgeo_resnet18_s2rgb_moco': ('1b5c081bdf2c', ('ResNet18_Weights.SENTINEL2_RGB_MOCO',)),
    'tgeo_resnet50_s2rgb_moco': ('1b5c081bdf2c', ('ResNet50_Weights.SENTINEL2_RGB_MOCO',)),
    'tgeo_resnet18_s2rgb_seco': ('1b89caba8b93', ('ResNet18_Weights.SENTINEL2_RGB_SECO',)),
    'tgeo_resnet50_s2rgb_seco': ('1b89caba8b93', ('ResNet50_Weights.SENTINEL2_RGB_SECO',)),
    'tgeo_resnet50_fmow_gassl': ('1b89caba8b93', ('ResNet50_Weights.FMOW_RGB_GASSL',)),
}
# data, weights, k-NN with its interval, linear probe with its interval; shares of the test images
_BENCH = (
    ('m-eurosat', 'resnet18', (0.856, 0.8320, 0.8750), (0.936, 0.9190, 0.9500)),
    ('m-eurosat', 'imagestats', (0.602, 0.5680, 0.6280), (0.699, 0.6680, 0.7270)),
    ('m-eurosat', 'tgeo_resnet18_s2rgb_moco', (0.762, 0.7359, 0.7871), (0.845, 0.8210, 0.8670)),
    ('m-eurosat', 'tgeo_resnet50_s2rgb_moco', (0.728, 0.6969, 0.7540), (0.857, 0.8329, 0.8780)),
    ('eurosat-spatial', 'resnet18', (0.8641, 0.8546, 0.8733), (0.9226, 0.9152, 0.9298)),
    ('eurosat-spatial', 'imagestats', (0.5828, 0.5693, 0.5941), (0.6724, 0.6593, 0.6858)),
    ('eurosat-spatial', 'tgeo_resnet18_s2rgb_moco', (0.7069, 0.6948, 0.7194),
     (0.8157, 0.8043, 0.8247)),
    ('eurosat-spatial', 'tgeo_resnet50_s2rgb_moco', (0.6976, 0.6842, 0.7098),
     (0.8544, 0.8437, 0.8639)),
    ('resisc45', 'resnet18', (0.7656, 0.7563, 0.7762), (0.8605, 0.8532, 0.8683)),
    ('resisc45', 'resnet50', (0.7684, 0.7590, 0.7783), (0.8870, 0.8795, 0.8951)),
    ('resisc45', 'tgeo_resnet18_s2rgb_moco', (0.4337, 0.4209, 0.4438), (0.6067, 0.5938, 0.6181)),
    ('resisc45', 'tgeo_resnet50_s2rgb_moco', (0.3589, 0.3481, 0.3689), (0.6033, 0.5916, 0.6173)),
    ('resisc45', 'tgeo_resnet18_s2rgb_seco', (0.7110, 0.7003, 0.7211), (0.8360, 0.8267, 0.8444)),
    ('resisc45', 'tgeo_resnet50_s2rgb_seco', (0.7225, 0.7124, 0.7330), (0.8702, 0.8616, 0.8786)),
    ('resisc45', 'tgeo_resnet50_fmow_gassl', (0.8181, 0.8081, 0.8268), (0.9156, 0.9100, 0.9214)),
    ('aid', 'resnet18', (0.8085, 0.7910, 0.8250), (0.9000, 0.8885, 0.9115)),
    ('aid', 'resnet50', (0.8325, 0.8155, 0.8511), (0.9305, 0.9190, 0.9430)),
    ('aid', 'tgeo_resnet50_s2rgb_moco', (0.3680, 0.3465, 0.3895), (0.6285, 0.6095, 0.6515)),
)  # fmt: skip

PAPER = 'Table I of https://arxiv.org/abs/2401.04614'
# weights: fine-tuned accuracy on EuroSAT and RESISC45, per cent, with standard deviations
_PAPER = (
    ('IMP', (97.84, 0.04), (92.48, 0.13)),
    ('MoCo-IN', (97.55, 0.29), (90.77, 0.19)),
    ('MoCo-MAID', (97.52, 0.10), (91.19, 0.15)),
    ('MoCo-IN-MAID', (97.47, 0.10), (91.15, 0.20)),
    ('MoCov2', (97.52, 0.07), (91.28, 0.04)),
    ('SeCo', (97.74, 0.25), (90.40, 0.15)),
    ('Geo-Aware', (97.87, 0.11), (92.37, 0.19)),
    ('CACO', (97.67, 0.09), (90.81, 0.18)),
    ('TOV', (97.80, 0.06), (92.59, 0.21)),
    ('GeRSP', (97.87, 0.15), (92.67, 0.16)),
    ('GeRSP-200', (97.87, 0.10), (92.74, 0.09)),
)


def bench_values(data: str) -> tuple[PublishedValue, ...]:
    """List what torchgeo-bench has published of a data set."""
    return tuple(
        _bench_value(data, weights, protocol, shares)
        for name, weights, knn, linear in _BENCH
        if name == data
        for protocol, shares in (('knn', knn), ('linear', linear))
    )


def _bench_value(
    data: str, weights: str, protocol: str, shares: tuple[float, float, float]
) -> PublishedValue:
    """Write a row of the benchmark as others are."""
    commit, sources = _FILES[weights]
    value, low, high = (100 * share for share in shares)
    return PublishedValue(
        data=data,
        sources=sources,
        weights=weights,
        protocol=protocol,
        value=value,
        spread=f'({low:.1f} to {high:.1f})',
        digits=1,
        by='torchgeo-bench',
        where=f'results/models/{weights}.csv at {commit}',
    )


def paper_values(data: str) -> tuple[PublishedValue, ...]:
    """List what the paper has published of a data set, whose split it does not say."""
    if data not in ('eurosat', 'resisc45'):
        return ()
    return tuple(
        PublishedValue(
            data=data,
            sources=(),
            weights=weights,
            protocol='finetune',
            value=value,
            spread=f'± {deviation:.2f}',
            digits=2,
            by='the GeRSP paper',
            where=PAPER,
        )
        for weights, *pair in _PAPER
        for value, deviation in (pair[data == 'resisc45'],)
    )
