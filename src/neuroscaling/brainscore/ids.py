"""The Brain-Score benchmarks that can be scored, as a table. Light: imports nothing of Brain-Score.

Source: brainscore_vision 2.4.2, `benchmarks/{majajhong2015,freemanziemba2013,rajalingham2018}` and `data/` of the same
names.
"""

from dataclasses import dataclass

from neuroscaling.errors import Problem, StudyError, listing, nearest

REGIONS = ("V1", "V2", "V4", "IT")
"""Recorded regions; behaviour has a readout layer instead of a region's layer."""


@dataclass(frozen=True)
class DataSet:
    """Recordings of one registered id and the stimuli that go with them.

    data: id in Brain-Score's data registry; stimulus_set: id of its stimuli; assembly: identifier that names the netCDF
    file; kind: class of the assembly; degrees: width of the images in degrees of visual angle.
    """

    data: str
    stimulus_set: str
    assembly: str
    plugin: str
    kind: str
    degrees: float

    @property
    def assembly_file(self) -> str:
        """File name of the recordings, as Brain-Score names it."""
        return f"assy_{self.assembly.replace('.', '_')}.nc"

    @property
    def stimulus_stem(self) -> str:
        """Name of the stimuli's CSV (and of their zip or folder) without its ending, as Brain-Score names it."""
        return f"stimulus_{self.stimulus_set.replace('.', '_')}"


@dataclass(frozen=True)
class Benchmark:
    """A registered benchmark.

    degrees: width of its images in degrees of visual angle; stratified_by: column that balances its splits.
    """

    benchmark: str
    region: str
    metric: str
    data: str
    stimulus_set: str
    degrees: float
    stratified_by: str | None


DATA_SETS = {
    data_set.data: data_set
    for data_set in (
        DataSet(
            "MajajHong2015.public",
            "hvm-public",
            "dicarlo.MajajHong2015.public",
            "majajhong2015",
            "NeuronRecordingAssembly",
            8.0,
        ),
        DataSet(
            "FreemanZiemba2013.public",
            "FreemanZiemba2013.aperture-public",
            "movshon.FreemanZiemba2013.public",
            "freemanziemba2013",
            "NeuronRecordingAssembly",
            4.0,
        ),
        DataSet(
            "Rajalingham2018.public",
            "objectome.public",
            "dicarlo.Rajalingham2018.public",
            "rajalingham2018",
            "BehavioralAssembly",
            8.0,
        ),
    )
}


def _benchmark(benchmark: str, region: str, metric: str, data: str, stratified_by: str | None) -> Benchmark:
    source = DATA_SETS[data]
    return Benchmark(benchmark, region, metric, data, source.stimulus_set, source.degrees, stratified_by)


BENCHMARKS = {
    entry.benchmark: entry
    for entry in (
        _benchmark("FreemanZiemba2013public.V1-pls", "V1", "pls", "FreemanZiemba2013.public", "texture_type"),
        _benchmark("FreemanZiemba2013public.V2-pls", "V2", "pls", "FreemanZiemba2013.public", "texture_type"),
        _benchmark("MajajHong2015public.V4-pls", "V4", "pls", "MajajHong2015.public", "object_name"),
        _benchmark("MajajHong2015public.IT-pls", "IT", "pls", "MajajHong2015.public", "object_name"),
        _benchmark("Rajalingham2018public-i2n", "behavior", "i2n", "Rajalingham2018.public", None),
    )
}


def benchmark(name: str) -> Benchmark:
    """The benchmark registered as `name`. Raises StudyError with the nearest name for an unknown one."""
    if name not in BENCHMARKS:
        allowed = listing(list(BENCHMARKS))
        raise StudyError(
            Problem("unknown benchmark", "brainscore.benchmarks", name, allowed, nearest(name, BENCHMARKS))
        )
    return BENCHMARKS[name]
