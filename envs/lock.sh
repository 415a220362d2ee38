#!/usr/bin/env bash
# Write envs/NAME.lock.txt, with the hashes of all files of each release, and the pins of envs/NAME.yaml. What is locked
# keeps its version and what envs/NAME.in asks for anew is added; with --upgrade all are resolved anew (make lock).
set -euo pipefail
python=${PYTHON:-python3.11}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check uv
# For Debian 12's Python 3.11.2: a package that asks for a later one would not be found there.
for name in main brainscore; do
  "$folder/bin/uv" pip compile --quiet --no-config --python "$python" --python-version 3.11.2 --generate-hashes \
    --no-annotate --no-header "$@" --output-file "envs/$name.lock.txt" "envs/$name.in" >/dev/null
done
"$folder/bin/uv" pip compile --quiet --no-config --python "$python" --python-version 3.11.2 --generate-hashes \
  --no-annotate --no-header "$@" --output-file envs/tools.lock.txt envs/tools.in >/dev/null
"$python" envs/pins.py
