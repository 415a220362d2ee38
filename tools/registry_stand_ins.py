"""Tiny assemblies in place of Brain-Score's downloads, and a record of what was asked for.

Import after `neuroscaling.brainscore.environment.prepare_environment`; see registry_table.
"""

import subprocess
from typing import Any

import numpy as np
import pandas as pd

REGIONS = ("V1", "V2", "V4", "IT")
REPETITIONS = {"Sanghavi2020": 28, "SanghaviJozwik2020": 37, "SanghaviMurty2020": 50, "Rajalingham2020": 33}
"""Benchmarks of these data assert the number."""
DEGREES = {"SanghaviMurty2020": 5}
"""Attribute `image_size_degree`, 8 in the other data; benchmarks assert it."""
PLAIN_NEUROIDS = ("FreemanZiemba2013", "Cowley2026")
"""Their benchmarks break on more coordinates of the neuroids than region and id."""


class Recorder:
    """Stands in for Brain-Score's loaders of files.

    data_sets, stimulus_sets: what the loaders were told, by registered id. data, stimuli, metrics: ids that the
    benchmark at hand asked for, in order, since `start`.
    """

    def __init__(self) -> None:
        self.data_sets: dict[str, dict[str, Any]] = {}
        self.stimulus_sets: dict[str, dict[str, Any]] = {}
        self.start()
        self._asked_data: list[str] = []
        self._asked_sets: list[str] = []

    def start(self) -> None:
        """Forget what the last benchmark asked for."""
        self.data: list[str] = []
        self.stimuli: list[str] = []
        self.metrics: list[str] = []

    def install(self) -> None:
        """Replace the loaders, before any plugin binds their names."""
        import brainscore_vision
        from brainscore_core.supported_data_standards.brainio import fetch, s3

        s3.load_assembly_from_s3 = self._assembly
        s3.load_stimulus_set_from_s3 = self._stimulus_set
        fetch.BotoFetcher.fetch = subprocess.run = _refuse
        brainscore_vision.load_dataset = self._noting(brainscore_vision.load_dataset, "data", self._asked_data)
        brainscore_vision.load_stimulus_set = self._noting(
            brainscore_vision.load_stimulus_set, "stimuli", self._asked_sets
        )
        brainscore_vision.load_metric = self._noting(brainscore_vision.load_metric, "metrics", [])

    def _noting(self, load: Any, kind: str, asked: list[str]) -> Any:
        def load_and_note(identifier: str, *args: Any, **kwargs: Any) -> Any:
            noted = getattr(self, kind)
            if identifier not in noted:
                noted.append(identifier)
            asked.append(identifier)
            try:
                return load(identifier, *args, **kwargs)
            finally:
                asked.pop()

        return load_and_note

    def _assembly(
        self,
        identifier: str,
        version_id: str,
        sha1: str,
        bucket: str,
        cls: type,
        stimulus_set_loader: Any = None,
        merge_stimulus_set_meta: bool = True,
    ) -> Any:
        data = self._asked_data[-1]
        stimuli = stimulus_set_loader() if stimulus_set_loader else None
        self.data_sets[data] = {
            "data": data,
            "assembly": identifier,
            "stimulus_set": self._last_set if stimuli is not None else None,
            "kind": cls.__name__,
            "plugin": _plugin("data", data),
            "sha1": sha1,
            "access": _access(data, bucket),
            **_location(bucket, version_id),
        }
        return (
            behavioral_stand_in(cls, stimuli)
            if cls.__name__ == "BehavioralAssembly"
            else neural_stand_in(cls, data, stimuli)
        )

    def _stimulus_set(
        self,
        identifier: str,
        bucket: str,
        csv_sha1: str,
        zip_sha1: str,
        csv_version_id: str,
        zip_version_id: str,
        filename_prefix: str | None = None,
    ) -> Any:
        from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

        registered = self._last_set = self._asked_sets[-1]
        self.stimulus_sets[registered] = {
            "stimulus_set": registered,
            "identifier": identifier,
            "plugin": _plugin("stimulus_set", registered),
            "csv_sha1": csv_sha1,
            "zip_sha1": zip_sha1,
            "csv_version": csv_version_id,
            "zip_version": zip_version_id,
            **{key: value for key, value in _location(bucket, "").items() if key != "version_id"},
        }
        columns = {"stimulus_id": ["a", "b"], "filename": ["a.png", "b.png"]}
        levels = {name: ["x", "y"] for name in ("object_name", "texture_type", "image_label")}
        stimuli = StimulusSet(pd.DataFrame(columns | levels))
        stimuli.identifier, stimuli.stimulus_paths = identifier, {"a": "a.png", "b": "b.png"}
        return stimuli


def _location(bucket: str, version_id: str) -> dict[str, str]:
    name, _, prefix = bucket.strip("/").partition("/")
    return {"bucket": name, "prefix": prefix, "version_id": version_id}


def _access(data: str, bucket: str) -> str:
    """What the source says: by the name of the data, or, for Li2026, in a comment."""
    if data.endswith((".public", ".private")):
        return data.rsplit(".", 1)[1]
    return "private" if bucket.endswith("/Li2026") else "not stated"


def _plugin(registry: str, identifier: str) -> str:
    from brainscore_core.plugin_management.import_plugin import ImportPlugin

    return ImportPlugin("brainscore_vision", "data", identifier, registry_prefix=registry).plugin_dirname


def _refuse(*_: Any, **__: Any) -> None:
    raise OSError("no download while the table is made")


def neural_stand_in(cls: type, data: str, stimuli: Any) -> Any:
    """Random responses (presentation, neuroid, time_bin) with every coordinate that a benchmark of `data` asks for."""
    repetitions = REPETITIONS.get(data, 2)
    ids = np.tile(["a", "b"], repetitions)
    trials = np.repeat(np.arange(repetitions), 2)
    bins = _bins(data)
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", ids),
        "repetition": ("presentation", trials),
        "repetition_id": ("presentation", trials),
        "time_bin_start": ("time_bin", [start for start, _ in bins]),
        "time_bin_end": ("time_bin", [end for _, end in bins]),
        **_neuroids(data),
    }
    if data.startswith("Sanghavi"):
        coords["time_bin_id"] = ("time_bin", [0])
    if stimuli is not None:
        coords |= {c: ("presentation", np.tile(stimuli[c].values, repetitions)) for c in stimuli if c not in coords}
    n = len(_neuroids(data)["neuroid_id"][1])
    values = np.random.default_rng(0).standard_normal((len(ids), n, len(bins)))
    assembly = cls(values, coords=coords, dims=("presentation", "neuroid", "time_bin"))
    assembly.attrs |= {"image_size_degree": DEGREES.get(data, 8), "stimulus_set": stimuli}
    assembly.attrs["stimulus_set_identifier"] = getattr(stimuli, "identifier", None)
    return assembly


def _bins(data: str) -> list[tuple[float, float]]:
    if data.startswith("FreemanZiemba2013"):
        return [(t, t + 1) for t in range(50, 200)]
    if data.startswith("Gifford2022"):
        return [(t / 100, t / 100 + 0.01) for t in range(60)]
    return [(70, 170)]


def _neuroids(data: str) -> dict[str, Any]:
    regions = [region for region in REGIONS for _ in range(4)]
    coords: dict[str, list[Any]] = {"neuroid_id": [f"n{i}" for i in range(len(regions))], "region": regions}
    if data.startswith("Gifford2022"):  # sensors on the scalp, which its benchmark calls IT
        return {"neuroid_id": ("neuroid", list(range(4))), "subject": ("neuroid", ["s1", "s1", "s2", "s2"])}
    if not data.startswith(PLAIN_NEUROIDS):
        n = len(regions)
        coords |= {"subject": ["s1", "s2"] * (n // 2), "animal": ["s1", "s2"] * (n // 2)}
        coords |= {"nc_testset": [90.0] * n, "reliability": [0.9] * n, "reliability_window": [0.9] * n}
    return {name: ("neuroid", values) for name, values in coords.items()}


def behavioral_stand_in(cls: type, stimuli: Any) -> Any:
    """Two choices (presentation,) of a match-to-sample task."""
    columns = {"stimulus_id": ["a", "b"], "sample_obj": ["x", "y"], "dist_obj": ["y", "x"], "choice": ["x", "x"]}
    coords = {name: ("presentation", values) for name, values in columns.items()}
    assembly = cls(["x", "x"], coords=coords, dims=("presentation",))
    assembly.attrs |= {"stimulus_set": stimuli, "stimulus_set_identifier": stimuli.identifier}
    return assembly
