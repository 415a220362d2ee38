#!/usr/bin/env bash
# Build the environment NAME in .venv/NAME from envs/NAME.lock.txt, unless it is there already. PYTHON: the interpreter.
set -euo pipefail
name=$1
python=${PYTHON:-python3.11}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
lock=envs/$name.lock.txt
folder=.venv/$name
wanted=$(sha256sum < "$lock" | cut -c1-16)
project=$(sha256sum < pyproject.toml | cut -c1-16)

install_project() { # the `neuroscaling` command and the library itself, from this checkout
  [ "$name" = main ] || return 0
  [ "$(cat "$folder/.project" 2>/dev/null)" = "$project" ] && return 0
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$project" > "$folder/.project"
}

if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ] && [ -x "$folder/bin/python" ]; then
  install_project
  exit 0
fi

if ! command -v "$python" >/dev/null || ! "$python" -c 'import sys' 2>/dev/null; then
  cat >&2 <<X
$python is missing. Brain-Score does not support Python above 3.11, so the environments are built with 3.11. Get it by one of
    uv:     uv python install 3.11 && make env PYTHON="\$(uv python find 3.11)"
    pyenv:  pyenv install 3.11 && pyenv local 3.11
    conda:  conda env create -n neuroscaling-main -f envs/main.yaml
            (then run snakemake --sdm conda, which makes the other environment from envs/brainscore.yaml)
    Debian: apt-get install python3.11 python3.11-venv
The main environment alone also works on Python 3.12: make .venv/main PYTHON=python3.12
X
  exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "$name-$version" in
  brainscore-3.11 | main-3.11 | main-3.12) ;;
  brainscore-*) echo "Brain-Score needs Python 3.11, and $python is $version: make env PYTHON=python3.11" >&2; exit 1 ;;
  *) echo "the main environment is locked for Python 3.11 and 3.12, and $python is $version: make env PYTHON=python3.11" >&2; exit 1 ;;
esac
"$python" -c 'import venv, ensurepip' 2>/dev/null || {
  echo "$python has no venv module: apt-get install python3.11-venv" >&2
  exit 1
}

echo "Building $folder from $lock (several minutes and about 7 GB, once)"
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock"
install_project
echo "$wanted" > "$folder/.installed"
