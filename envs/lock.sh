#!/usr/bin/env bash
# Resolve envs/NAME.in anew and write envs/NAME.lock.txt, and the pins of envs/NAME.yaml.
set -euo pipefail
python=${PYTHON:-python3.11}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for name in main brainscore; do
  folder=$(mktemp -d)
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade -r "envs/$name.in"
  "$folder/bin/python" -m pip check
  "$folder/bin/python" -m pip freeze --all --exclude pip > "envs/$name.lock.txt"
  rm -rf "$folder"
done
"$python" envs/pins.py
