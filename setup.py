"""Ships ``configs/`` within the package; all else is in pyproject.toml, which has no word for this."""

from setuptools import find_namespace_packages, find_packages, setup

NAME = 'gersp_geo.configs'
FOLDERS = [f'{NAME}.{folder}' for folder in find_namespace_packages('configs')]

setup(
    packages=[*find_packages(include=['gersp_geo*']), NAME, *FOLDERS],
    package_dir={NAME: 'configs'},
    package_data={'': ['py.typed', '*.yaml']},
)
