"""One process scores all benchmarks of one or several runs; the rule `brainscore` calls it.

Imports of Brain-Score, and of modules that import it, stand in functions: `environment.prepare_environment` must have
been called.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from neuroscaling.activations.zarr_reading import Activations, open_store
from neuroscaling.brainscore import environment
from neuroscaling.brainscore.job_files import ScoreOutput, ScoringJob
from neuroscaling.brainscore.own_benchmarks import Definition, benchmark_entry, check_definitions, require_files
from neuroscaling.brainscore.row_numbers import Layers
from neuroscaling.core.commitments import Commitment, read_commitment
from neuroscaling.core.counting import Tally
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.hangs import NEVER
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.logs import Pieces
from neuroscaling.core.score_files import making_score, stored_name
from neuroscaling.core.v4_assembly_record import check_v4_assembly
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.study import benchmarks
from neuroscaling.study.benchmarks import find_benchmark, remote_files

# Depth of each region, as a fraction of the candidate layers.
DEPTHS = {"V1": 0.25, "V2": 0.5, "V4": 0.75, "IT": 1.0}


def region_layers(candidates: list[str], regions: Iterable[str]) -> dict[str, str]:
    """A layer for each of `regions` (V1, V2, V4, IT), spread over depth: at 1/4, 1/2, 3/4 and the end of `candidates`.

    Raises DataError for another region or when there are no candidates.
    """
    if not candidates:
        raise DataError(Problem(what="no candidate layers"))
    unknown = [region for region in regions if region not in DEPTHS]
    if unknown:
        raise DataError(
            [
                Problem(what="unknown region", value=r, allowed=", ".join(DEPTHS), nearest=nearest(r, DEPTHS))
                for r in unknown
            ]
        )
    return {region: candidates[ceil(DEPTHS[region] * len(candidates)) - 1] for region in regions}


logger = logging.getLogger("neuroscaling")


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark, those that the study defines, its files with their checksums, and a hash that tells its data."""

    benchmark: benchmarks.Benchmark
    definitions: dict[str, Definition]
    files: dict[str, str]
    data_hash: str

    @classmethod
    def of(cls, root: Path, name: str, definitions: dict[str, Definition]) -> "BenchmarkData":
        """Of the benchmark called `name`. Raises DataError for missing files, StudyError for an unknown benchmark."""
        entry = benchmark_entry(name, definitions)
        files = data_files(root, entry, definitions)
        return cls(entry, definitions, files, content_hash([files, settings_of(entry, definitions)], 16))


def score_runs(options: ScoringJob) -> None:
    """Score each run on each benchmark of the outputs that are not there; each file is written when it is done.

    Raises DataError and StudyError as `score_benchmark`, of several outputs when all others are done.
    """
    _refuse_regions(options.layers)
    absent = [out for out in options.outputs if not out.path.exists()]
    if not absent:
        return
    definitions = check_definitions(options.definitions, options.data)
    names = sorted({out.benchmark for out in absent})
    recordings = {name: BenchmarkData.of(options.data, name, definitions) for name in names}
    pieces, tally = Pieces(len(absent) == 1), Tally("brainscore", "benchmarks", len(absent))
    with environment.prepared():
        from neuroscaling.brainscore.local_files import forget_loaded, register_benchmark

        for own in recordings.values():
            if own.benchmark.benchmark not in definitions:
                register_benchmark(options.data, own.benchmark)
        for manifest in dict.fromkeys(out.activations for out in absent):
            outputs = [out for out in absent if out.activations == manifest]
            with pieces.piece(outputs[0].run):
                _score_run(Layers(open_store(manifest)), outputs, recordings, options, pieces, tally)
        forget_loaded()
    pieces.end()


def _refuse_regions(layers: dict[str, str]) -> None:
    """Raise StudyError for layers of what is no region."""
    if unknown := sorted(set(layers) - set(benchmarks.BRAINSCORE_REGIONS)):
        raise StudyError(
            Problem(
                what="not a region",
                where="layers",
                value=listing(unknown),
                allowed=f"regions: {', '.join(benchmarks.BRAINSCORE_REGIONS)}",
            )
        )


def _score_run(
    stored: Layers,
    outputs: Sequence[ScoreOutput],
    recordings: dict[str, BenchmarkData],
    options: ScoringJob,
    pieces: Pieces,
    tally: Tally,
) -> None:
    from neuroscaling.brainscore.benchmark_objects import benchmark_object
    from neuroscaling.brainscore.score_file import TARGETS, write_score
    from neuroscaling.brainscore.scoring import score_benchmark

    # The loops of the stock engine are not ours: they count nothing.
    patience = options.patience if options.engine == "kernel" else NEVER
    for out in outputs:
        own = recordings[out.benchmark]
        with (
            pieces.piece(f"{out.run} on {out.benchmark}"),
            making_score(out.path, f"score of {out.run} on {out.benchmark}", [TARGETS], tally, patience) as lease,
        ):
            if lease is None:
                continue
            made_from = {stored_name(out.activations): stored.activations.manifest.checksum}
            made_from |= {f"{options.data_name}/{name}": checksum for name, checksum in own.files.items()}
            chosen = None
            if out.commitment is not None:
                chosen = read_commitment(out.commitment)
                made_from[stored_name(out.commitment)] = chosen.checksum
            job = _job(out, stored, own, chosen, options)
            content, targets = score_benchmark(
                own.benchmark, partial(benchmark_object, definitions=own.definitions), job
            )
            lease.check()
            write_score(out.path, content, targets, out.definition, made_from)
            for row in content.rows:
                why = f" because {row['reason']}" if row["reason"] else ""
                images = f", {row['n_mapping']} mapping images" if row["n_mapping"] else ""
                facts = (out.run, out.benchmark, images, row["score"], why, row["raw"])
                logger.info("%s, %s%s: score %s%s, raw %s", *facts)


def _job(out: ScoreOutput, stored: Layers, own: BenchmarkData, chosen: Commitment | None, options: ScoringJob) -> Any:
    from neuroscaling.brainscore.scoring import Job

    by_region, readout = layers_by_depth(stored.activations, options.layers, options.readout)
    layers: dict[str, str | list[str]] = dict(by_region)
    if chosen is not None:
        layers[out.benchmark] = chosen.layers
    return Job(
        run=out.run,
        data=options.data_name,
        simulated=options.simulated,
        data_hash=own.data_hash,
        activations=stored.activations,
        layers=layers,
        readout=readout,
        protocol=options.protocol,
        ceilings=options.ceilings,
        code=options.code,
        engine=options.engine,
        stored=stored,
        samples=out.samples,
        few={one.n_mapping: one.layers for one in chosen.few} if chosen else {},
    )


def layers_by_depth(
    activations: Activations, chosen: dict[str, str], readout: str | None
) -> tuple[dict[str, str], str]:
    """Layer of each region and of the readout: those chosen, the others by depth."""
    candidates, last = split_layers(activations)
    return region_layers(candidates, benchmarks.BRAINSCORE_REGIONS) | chosen, readout or last


def split_layers(activations: Activations) -> tuple[list[str], str]:
    """Candidates for regions, and the readout: extraction stores the candidates early to late, the readout last."""
    *candidates, last = activations.layers
    return candidates or [last], last


def data_files(root: Path, entry: benchmarks.Benchmark, definitions: dict[str, Definition]) -> dict[str, str]:
    """The recordings and tables of stimuli that a score is made from, with their checksums.

    Raises DataError for missing files, and for those of a simulated brain or a V4 assembly that are not what its record
    says.
    """
    if entry.benchmark in definitions:
        own = definitions[entry.benchmark]
        require_files(own)
        sums = {path.name: file_sha256(path) for path in (own.assembly, own.stimuli)}
        check_v4_assembly(own.assembly.parent, sums)
        _check_simulated(root, [own.assembly, own.stimuli])
        return {name: f"sha256:{found}" for name, found in sums.items()}
    files, alone = find_benchmark(root, entry)
    if all(part.official for part in files) and all(part.official for part in alone):
        # Brain-Score checks these sums whenever it loads the files; hashing gigabytes in every job adds nothing.
        return {file.name: f"sha1:{file.sha1}" for file in remote_files(entry)}
    paths = [path for part in files for path in (part.assembly, part.csv)] + [part.csv for part in alone]
    _check_simulated(root, paths)
    return {path.name: f"sha256:{file_sha256(path)}" for path in paths}


def _check_simulated(root: Path, paths: list[Path]) -> None:
    if brain := brain_of(root):
        check_simulated(brain, [path.absolute() for path in paths])


def settings_of(entry: benchmarks.Benchmark, definitions: dict[str, Definition]) -> dict[str, Any] | None:
    """What a study that defines a benchmark says of it, but for where its files lie; None for a registered one."""
    if entry.benchmark not in definitions:
        return None
    settings = asdict(definitions[entry.benchmark])
    return {key: value for key, value in settings.items() if key not in ("assembly", "stimuli", "images")}


def data_hash(root: Path, entry: benchmarks.Benchmark, definitions: dict[str, Definition]) -> str:
    """Tells what a benchmark's ceiling is made from: its recordings, and what a study that defines it says of it."""
    return BenchmarkData.of(root, entry.benchmark, definitions).data_hash
