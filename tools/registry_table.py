"""Writes `registered.json`: what the installed brainscore_vision registers, read from its own objects.

    python -m tools.registry_table [OUT]      (in the brainscore environment)

Hashes of files change with the version of brainscore_vision, so they are not written by hand: each benchmark is built
by its own constructor, with a tiny assembly in place of the download, and asked what it is.
"""

import importlib
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuroscaling.brainscore import environment
from neuroscaling.core.files import write_json

TABLE = Path(__file__).parents[1] / "src/neuroscaling/study/registered.json"
SERVED = ("pls", "ridge", "ridgecv", "dual_ridge", "dual_ridgecv", "rdm", "cka", "neuron_to_neuron", "i2n")
REGRESSIONS = {
    "PLSRegression": "pls",
    "Ridge": "ridge",
    "RidgeCV": "ridgecv",
    "DualRidgeRegression": "dual_ridge",
    "DualRidgeCVRegression": "dual_ridgecv",
    "SingleRegression": "neuron_to_neuron",
}
METRICS = {"RDMMetric": "rdm", "RDMCrossValidated": "rdm", "CKA": "cka", "CKACrossValidated": "cka"}
WITHHELD = {
    "coggan2024_fMRI": "compares units that it selects by their response, in a class of its own",
    "igustibagus2024": "draws its splits by a rule of its own",
    "laion_fmri": "its images need a data use agreement, its splits another package",
}
"""Plugins that can't be stood in for, with the reason."""
KINDS = {
    "NeuralBenchmark": "neural",
    "_CombinedNeuralBenchmark": "neural",
    "TrainTestNeuralBenchmark": "train_test",
    "RSABenchmark": "rsa",
    "_DicarloRajalingham2018": "behavior",
    "RajalinghamMatchtosamplePublicBenchmark": "behavior",
}


def main(arguments: list[str]) -> int:
    """Write the table to the file named by the first argument, by default into the package."""
    out = Path(arguments[0]) if arguments else TABLE
    write_json(out, build_table())
    return 0


def build_table() -> dict[str, Any]:
    """The table: `benchmarks`, `data_sets`, `stimulus_sets`, `not_served` (reason by id), `brainscore_vision`.

    Must run in a process that has not imported Brain-Score yet.
    """
    with tempfile.TemporaryDirectory(prefix="neuroscaling-registry-") as scratch:
        environment.prepare_environment(Path(scratch))
        from tools.registry_stand_ins import Recorder

        recorder = Recorder()
        recorder.install()
        served, not_served = _read_benchmarks(recorder)
    benchmarks = dict(sorted(served.items()))
    data = {name for entry in benchmarks.values() for name in entry["data"]}
    sets = {name for entry in benchmarks.values() for name in entry["stimulus_sets"]}
    return {
        "brainscore_vision": version("brainscore_vision"),
        "benchmarks": benchmarks,
        "data_sets": {name: recorder.data_sets[name] for name in sorted(data)},
        "stimulus_sets": {
            name: recorder.stimulus_sets[name] | {"degrees": _degrees(name, served)} for name in sorted(sets)
        },
        "not_served": dict(sorted(not_served.items())),
    }


def _degrees(stimulus_set: str, served: dict[str, dict[str, Any]]) -> float:
    """Degrees of a set's images. Raises ValueError if two benchmarks show it at different ones."""
    degrees = {entry["degrees"] for entry in served.values() if stimulus_set in entry["stimulus_sets"]}
    if len(degrees) != 1:
        raise ValueError(f"{stimulus_set} is shown at {sorted(degrees)} degrees")
    return degrees.pop()


def _read_benchmarks(recorder: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    import brainscore_vision

    served, not_served = {}, {}
    for plugin in _plugins(Path(brainscore_vision.__file__).parent / "benchmarks"):
        if plugin.name in WITHHELD:
            not_served |= dict.fromkeys(_registered_names(plugin), WITHHELD[plugin.name])
            continue
        try:
            importlib.import_module(f"brainscore_vision.benchmarks.{plugin.name}")
        except Exception as error:
            reason = f"its plugin can't be imported: {_short(error)}"
            not_served |= {name: reason for name in _registered_names(plugin) if name not in served}
            continue
        for name in _registered_names(plugin):
            try:
                served[name] = _describe(name, plugin.name, recorder)
            except NotServed as reason:
                not_served[name] = str(reason)
    return served, not_served


class NotServed(Exception):
    """Why a registered benchmark can't be scored here."""


def _describe(name: str, plugin: str, recorder: Any) -> dict[str, Any]:
    """What the table says of one benchmark. Raises NotServed with the reason."""
    from brainscore_vision import benchmark_registry

    recorder.start()
    try:
        benchmark = benchmark_registry[name]()
    except Exception as error:
        raise NotServed(_why_not_built(recorder)) from error
    kind = KINDS.get(type(benchmark).__name__)
    if kind is None:
        raise NotServed(_other_class(benchmark, recorder))
    parts = getattr(benchmark, "_sessions", [benchmark])
    try:
        for part in parts:
            _load_lazy(part)
    except Exception as error:
        raise NotServed(f"its data can't be stood in for: {_short(error)}") from error
    metric = recorder.metrics[0] if kind == "behavior" else _metric(parts[0])
    if metric not in SERVED:
        raise NotServed(f"metric {metric}")
    return {
        "benchmark": name,
        "region": "behavior" if kind == "behavior" else str(parts[0].region),
        "metric": metric,
        "kind": kind,
        "data": recorder.data,
        "stimulus_sets": recorder.stimuli,
        "degrees": float(parts[0]._visual_degrees),
        "trials": int(parts[0]._number_of_trials),
        "stratified_by": _stratified_by(parts[0]),
        "subjects": "subject" if kind == "rsa" else getattr(parts[0], "alpha_coord", None),
        "parts": len(parts),
        "plugin": plugin,
        "version": int(benchmark.version),
        "identifier": benchmark.identifier,
    }


def _load_lazy(benchmark: Any) -> None:
    for attribute in ("_assembly", "train_assembly", "test_assembly"):
        if hasattr(benchmark, attribute):
            assert len(getattr(benchmark, attribute).dims)


def _metric(benchmark: Any) -> str:
    if type(benchmark).__name__ == "RSABenchmark":
        return "rdm"
    metric = getattr(benchmark, "_similarity_metric", None) or benchmark._metric
    name = type(metric).__name__
    if name in METRICS:
        return METRICS[name]
    if name not in ("CrossRegressedCorrelation", "TrainTestSplitCorrelation"):
        return name
    regression = getattr(metric.regression, "_regression", metric.regression)
    return REGRESSIONS.get(type(regression).__name__, type(regression).__name__)


def _stratified_by(benchmark: Any) -> str | None:
    """The column that balances the splits; None where splits are plain or given."""
    validation = getattr(getattr(benchmark, "_similarity_metric", None), "cross_validation", None)
    split = getattr(validation, "_split", None)
    return split._stratification_coord if split is not None and split.do_stratify else None


def _why_not_built(recorder: Any) -> str:
    if recorder.metrics and not any(_base(metric) in SERVED for metric in recorder.metrics):
        return f"metric {recorder.metrics[0]}"
    return "it can't be built around an assembly that stands in for its data"


def _other_class(benchmark: Any, recorder: Any) -> str:
    metrics = f", metric {recorder.metrics[0]}" if recorder.metrics else ""
    return f"a class of its own, {type(benchmark).__name__}{metrics}"


def _base(metric: str) -> str:
    return metric.removesuffix("_split").removesuffix("_cv")


def _plugins(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file() and path.name[0] != "_")


def _registered_names(plugin: Path) -> list[str]:
    """Ids as Brain-Score finds them: by the text of the plugin's `__init__.py`."""
    text = (plugin / "__init__.py").read_text(encoding="utf-8")
    found = re.findall(r"^\s*benchmark_registry\[\s*[\"']([^\"']+)[\"']\s*\]\s*=", text, re.MULTILINE)
    return [name for name in dict.fromkeys(found) if "{" not in name]


def _short(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".split("\n")[0]
    # Paths would differ from one machine to the next.
    return re.sub(r"/[^\s'\"]*/", "", text)[:120]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
