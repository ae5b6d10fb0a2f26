#!/bin/sh
# Makes .venv with the pinned packages; with two words, such as `.venv-oldest lowest-direct`, an
# environment of that name with the lowest or highest versions that pyproject.toml allows.
# Needs Python 3.12 or newer on PATH, through pyenv or uv.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-.venv}
versions=${2:-pinned}

suits() {
    "$1" -c 'import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 12))' 2>/dev/null
}

python=
for candidate in "${PYTHON:-}" python3.12 python3 python python3.13 python3.14; do
    if [ -n "$candidate" ] && suits "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ] && command -v pyenv >/dev/null 2>&1; then
    for home in "$(pyenv root)"/versions/3.1[2-9]*; do
        if suits "$home/bin/python"; then
            python=$home/bin/python
            break
        fi
    done
fi
if [ -z "$python" ] && command -v uv >/dev/null 2>&1; then
    python=$(uv python find 3.12 2>/dev/null || true)
fi
if [ -z "$python" ]; then
    echo 'gersp_geo needs Python 3.12 or newer with its venv module, and found none.' >&2
    echo 'Install it (pyenv install 3.12, or uv python install 3.12), or say where it is:' >&2
    echo '    make PYTHON=/path/to/python3.12' >&2
    exit 1
fi

echo "Setting up $folder with $("$python" --version) (about 6 GB, once) ..."
rm -rf "$folder"
"$python" -m venv "$folder"
# uv resolves and unpacks in a tenth of pip's time
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements/installer.txt
# compiled here, once: where Python may not write bytecode, each start would compile everything anew,
# which takes longer than the rest of the start
install="$folder/bin/uv pip install --quiet --compile-bytecode --python $folder/bin/python"
if [ "$versions" = pinned ]; then
    $install -r requirements/all.txt
    $install --no-deps --editable .
else
    $install --resolution "$versions" --editable '.[tests]'
fi
touch "$folder/.ready"
