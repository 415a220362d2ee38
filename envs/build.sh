#!/usr/bin/env bash
# Build the environment NAME in .venv/NAME from envs/NAME.lock.txt, unless it is there already.
# PYTHON: the interpreter. NEUROSCALING_CHECK: a study file that is checked before the large packages come.
# NEUROSCALING_BUILDER: uv (the default; its files are links to one cache, .venv/cache or UV_CACHE_DIR, so that what both
# environments hold is there once) or pip (also where uv is not to be had).
set -euo pipefail
name=$1
python=${PYTHON:-python3.11}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
lock=envs/$name.lock.txt
folder=.venv/$name
wanted=$(sha256sum < "$lock" | cut -c1-16)
project=$(sha256sum < pyproject.toml | cut -c1-16)
# What reading a study takes: 0.2 GB of 7.
light="annotated-types numpy pydantic pydantic-core pyyaml ruamel-yaml scikit-learn typing-extensions typing-inspection"

install_project() { # the `neuroscaling` command and the library itself, from this checkout
  [ "$name" = main ] || return 0
  [ "$(cat "$folder/.project" 2>/dev/null)" = "$project" ] && return 0
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$project" > "$folder/.project"
}

check_study() { # say what is wrong with the study, with the interpreter of .venv/main
  [ -n "${NEUROSCALING_CHECK:-}" ] && [ -x .venv/main/bin/python ] || return 0
  PYTHONPATH=src .venv/main/bin/python - "$NEUROSCALING_CHECK" <<'X'
import sys

try:
    from neuroscaling.core.errors import NeuroscalingError
    from neuroscaling.study.loaded_study import load_study
except ImportError:
    sys.exit()  # an environment that is half built
try:
    load_study(sys.argv[1]).fits
except NeuroscalingError as error:
    sys.exit(f"{error}\n\n{len(error.problems)} problem(s) of the study; no environment was built.")
except ImportError:
    pass  # what the study names takes a large package; it is read again before it starts
X
}

pip_setting() { # what pip is told of NAME, by its environment variable or by its files
  local settings=$1 name=$2 section value
  for section in :env: install global; do
    value=$(sed -n "s/^$section\.$name='\(.*\)'\$/\1/p" <<< "$settings" | tail -1)
    [ -z "$value" ] || { printf '%s' "${value//\\n/ }" | xargs; return; }
  done
}

find_uv() { # set `uv` to its command, from PATH or from a small environment of its own; empty: there is none
  uv=
  [ "${NEUROSCALING_BUILDER:-uv}" = uv ] || return 0
  uv=$(command -v uv || true)
  if [ -z "$uv" ]; then
    local stamp
    stamp=$(sha256sum < envs/tools.lock.txt | cut -c1-16)
    if [ "$(cat .venv/tools/.installed 2>/dev/null)" != "$stamp" ]; then
      rm -rf .venv/tools
      "$python" -m venv .venv/tools && .venv/tools/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps -r envs/tools.lock.txt && echo "$stamp" > .venv/tools/.installed
    fi
    [ ! -e .venv/tools/.installed ] || uv=.venv/tools/bin/uv
  fi
  [ -n "$uv" ] || { echo "uv is not to be had here; pip builds, which takes longer and twice the disk" >&2; return 0; }
  # uv reads variables of its own; where they say nothing, what pip is told holds for it too.
  local settings
  settings=$("$folder/bin/python" -m pip --disable-pip-version-check config list 2>/dev/null || true)
  export UV_CACHE_DIR=${UV_CACHE_DIR:-$PWD/.venv/cache} UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}
  local pair variable value
  for pair in UV_DEFAULT_INDEX=index-url UV_INDEX=extra-index-url UV_FIND_LINKS=find-links UV_INSECURE_HOST=trusted-host \
    SSL_CERT_FILE=cert UV_HTTP_TIMEOUT=default-timeout UV_HTTP_TIMEOUT=timeout; do
    variable=${pair%%=*}
    value=$(pip_setting "$settings" "${pair#*=}")
    [ "$variable" != UV_FIND_LINKS ] || value=${value// /,}
    [ -z "$value" ] || [ -n "${!variable:-}" ] || export "$variable=$value"
  done
}

install_locked() { # the packages of a lock file; uv shows its progress on a terminal, pip a line for each package
  if [ -n "$uv" ]; then
    local quiet=--quiet
    [ ! -t 2 ] || quiet=
    "$uv" pip install $quiet --python "$folder/bin/python" --require-hashes --no-deps -r "$1" && return 0
    echo "uv could not install $1; pip tries" >&2
  fi
  "$folder/bin/python" -m pip install --disable-pip-version-check --require-hashes --no-deps -r "$1" \
    | sed -u -n 's/^Collecting \([^ ]*\).*/  \1/p'
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
X
  exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "$name-$version" in
  brainscore-3.11 | main-3.11) ;;
  brainscore-*) echo "Brain-Score needs Python 3.11, and $python is $version: make env PYTHON=python3.11" >&2; exit 1 ;;
  *) echo "the main environment is locked for Python 3.11, and $python is $version: make env PYTHON=python3.11" >&2; exit 1 ;;
esac
"$python" -c 'import venv, ensurepip' 2>/dev/null || {
  echo "$python has no venv module: apt-get install python3.11-venv" >&2
  exit 1
}

check_study
SECONDS=0
rm -rf "$folder"
"$python" -m venv "$folder"
find_uv
echo "Building $folder from $lock with $([ -n "$uv" ] && echo uv || echo pip) (minutes, once; about 7 GB for both environments with uv, for each with pip)"
if [ "$name" = main ] && [ -n "${NEUROSCALING_CHECK:-}" ]; then
  first=$(mktemp)
  trap 'rm -f "$first"' EXIT
  awk -v wanted=" $light " '/^[a-z]/ { split($1, name, "=="); keep = index(wanted, " " name[1] " ") } keep' "$lock" > "$first"
  install_locked "$first"
  check_study
fi
install_locked "$lock"
install_project
echo "$wanted" > "$folder/.installed"
echo "$folder is built ($SECONDS s)"
