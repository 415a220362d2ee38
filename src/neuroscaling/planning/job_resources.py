"""What the heavy jobs of a study ask for: memory, GPU memory and minutes, from sizes that are known before they start.

Sizes are those of the network (`network_shapes`), the batch, the stimuli, the targets, and what the store recorded of
like runs (`recorded_jobs`). Nothing here loads torch: the workflow asks for each job. Megabytes have 10^6 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning import training_jobs, training_time
from neuroscaling.planning.checkpoint_files import fetched_bytes
from neuroscaling.planning.encoding import SubjectShape, count_stimuli, fits_of, subject_shape
from neuroscaling.planning.extraction_time import written_seconds
from neuroscaling.planning.network_shapes import NetworkShape, shape_of
from neuroscaling.planning.preparation_memory import pack_mb, recordings_mb
from neuroscaling.planning.recorded_jobs import Recorded, RecordedJobs
from neuroscaling.planning.stored_trainings import StoredTrainings
from neuroscaling.planning.training_throughput import Speeds, stored_speeds
from neuroscaling.planning.workload import recipe_facts, size_of
from neuroscaling.study.layer_choice import extracted_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.run_groups import PLANNED_SECONDS, needs_gpu
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.key_types import AUTO
from neuroscaling.study.sections.networks import SINGLE
from neuroscaling.study.wanted import Targets

MB = 10**6
LEAST_MB = 2000
LIBRARIES_MB = 1100
"""Of a process with torch and timm: 920 to 960 MiB, measured."""
WATCHERS_MB = 500
"""Of the Snakemake that starts the script, and on a cluster of another one: their memory is the job's too."""
CUDA_MB = 3000
"""That a process takes on the host once it has begun to compute on a GPU."""
CONTEXT_MB = 1500
"""That it takes on the GPU beside its tensors: the context, and work space of convolutions."""
COPIES_OF_WEIGHTS = 2
"""As they are read: those of the file, and those of the network."""
HELD_ON_CPU, HELD_ON_GPU = 1.8, 1.5
"""Memory that a forward pass takes, in units of what its results hold: pieces that are freed, and not used again."""
WAITING_MB = 500
"""Features and images that wait to be written, or to be computed."""
MARGIN = 1.2
"""Over a peak that was recorded of a like job."""
UNKNOWN_MB, UNKNOWN_MINUTES = 4000, 60
"""Of an extraction, and of the making of a network, of which no size is known."""
ENCODING_MINUTES = 240
"""Of a scoring job of recordings whose numbers of images and targets nobody knows yet."""
BESIDE_BOUND_MB = 2000
"""Of a scoring job beside the bound that its source has for ridge: predictions and libraries."""
SCORING_MINUTES = 180
"""Of the first run of a Brain-Score job, of which no cost is known; a sixth of it for each further one."""
PREPARATION_MINUTES, PACK_MINUTES = 240, 720
"""Of a subject's recordings, and of a split of a data set: nothing is estimated."""
CPU_FLOPS = 10e9
"""FLOP/s of a forward pass on one thread, at least; matrices of transformers reach 50."""
DRAWN, FETCHED, COPIED = 10e6, 5e6, 100e6
"""A second: weights that are drawn; bytes that come from a hub, and that are read or written."""


@dataclass(frozen=True)
class JobResources:
    """What one job asks for at its first try: memory on each node, memory of a GPU (0: none), and a time limit."""

    mem_mb: int
    gpu_memory_mb: int
    minutes: int

    def at(self, attempt: int) -> "JobResources":
        """The same at its `attempt`, from 1: memory and time grow with each."""
        return JobResources(self.mem_mb * attempt, self.gpu_memory_mb, self.minutes * attempt)

    def then(self, other: "JobResources") -> "JobResources":
        """What a job asks for that does the work of both, one after the other."""
        return JobResources(
            max(self.mem_mb, other.mem_mb), max(self.gpu_memory_mb, other.gpu_memory_mb), self.minutes + other.minutes
        )


@dataclass(frozen=True)
class Asked:
    """What the jobs of a study ask for. targets: the artefacts that it wants."""

    targets: Targets

    def making(self, runs: Sequence[Run], attempt: int = 1, pairs: Sequence[tuple[str, str]] = ()) -> JobResources:
        """A job that makes `runs` one after another: trains them, or fetches, reads or draws their weights.

        attempt: from 1. Memory grows up to the third: a run beyond the longest limit goes on in many jobs. pairs: names
        of a run and of a stimulus set, whose activations it extracts when the runs are made.
        """
        trained = [run for run in runs if run.kind == "trained"]
        recorded = [self._recorded.of_run(run) for run in runs]
        memory = [self._made_mb(run) for run in runs if run.kind != "trained"]
        memory += [training_jobs.job_memory_mb(self._study, trained)] if trained else []
        memory += [_with_margin(one.peak_mb) for one in recorded]
        gpu = max([self._trained_gpu_mb(run) for run in trained] + [one.gpu_peak_mb for one in recorded], default=0)
        made = JobResources(
            mem_mb=_hundreds(max(*memory, LEAST_MB)) * min(attempt, training_time.MOST_MEMORY_TRIES),
            gpu_memory_mb=_hundreds(gpu) if needs_gpu(trained) else 0,
            minutes=self._making_minutes(runs, recorded) * attempt,
        )
        if pairs:
            made = made.then(self.extraction(pairs).at(attempt))
        return replace(made, minutes=min(made.minutes, self._study.config.training.max_minutes or made.minutes))

    def extraction(self, pairs: Sequence[tuple[str, str]], parts: int = 1) -> JobResources:
        """A job that extracts activations: of runs to stimulus sets, by their names, one after another.

        parts: jobs that share them.
        """
        options, seconds, memory, gpu = self._study.config.extraction, 0.0, 0.0, 0.0
        for name, stimuli in pairs:
            run, n = self._study.runs[name], self.stimuli[stimuli]
            shape, recorded = self.shape(run), self._recorded.of_activations(run, stimuli)
            gram = 8 * n**2 / MB if n and options.keep != "features" else 0.0
            held = _extraction_mb(shape, options.batch, gram, needs_gpu([run])) if shape else (UNKNOWN_MB, 0.0)
            memory = max(memory, held[0], _with_margin(recorded.peak_mb))
            gpu = max(gpu, held[1], MARGIN * recorded.gpu_peak_mb)
            seconds += (recorded.seconds or self.extraction_seconds(run, shape, n, needs_gpu([run]))) / parts
        minutes = training_time.limit_minutes(training_time.JOB_START + seconds)
        return JobResources(_hundreds(max(memory, LEAST_MB)), _hundreds(gpu), minutes)

    def encoding(self, runs: Sequence[Run], subjects: Sequence[EncodingJob]) -> JobResources:
        """A job that scores `runs` on subjects and sessions of any sources of recordings, one after another."""
        memory, gpu, seconds, known = 0.0, 0, 0.0, True
        for subject in subjects:
            shape, ridge = self.subject_shape(subject), subject.entry.ridge
            memory, gpu = max(memory, ridge.memory_mb + BESIDE_BOUND_MB), max(gpu, ridge.memory_mb * ridge.gpu)
            for run in runs:
                cost, recorded = self.encoding_cost(run, subject, shape), self._recorded.of_encoding(run, subject)
                memory = max(memory, cost[0], _with_margin(recorded.peak_mb))
                seconds += recorded.seconds or cost[1]
                known = known and bool(recorded.seconds or cost[1])
        minutes = training_time.limit_minutes(training_time.JOB_START + seconds)
        return JobResources(
            mem_mb=_hundreds(memory),
            gpu_memory_mb=_hundreds(gpu + CONTEXT_MB) if gpu else 0,
            minutes=minutes if known else max(minutes, ENCODING_MINUTES),
        )

    def preparation(self, data: str, subject: str) -> JobResources:
        """A job that prepares the recordings of a subject; data: their name in the store."""
        subjects = self.targets.names.subjects
        found = next(one for one in subjects if one.preparation and (one.data, one.subject) == (data, subject))
        return JobResources(_hundreds(recordings_mb(self._study, found)), 0, PREPARATION_MINUTES)

    def pack(self, dataset: str) -> JobResources:
        """A job that packs a split of a data set, by its name in the study."""
        return JobResources(_hundreds(pack_mb(self._study, dataset)), 0, PACK_MINUTES)

    def scoring(self, runs: Sequence[Run]) -> JobResources:
        """A job of Brain-Score that chooses layers or scores, whose memory the study bounds."""
        settings = self._study.config.brainscore
        assert settings is not None
        further = SCORING_MINUTES // 6 * max(len(runs) - 1, 0)
        if self._study.config.runs_per_job == AUTO:  # as many share a job as take so long by their plan
            further = min(further, training_time.limit_minutes(PLANNED_SECONDS))
        return JobResources(settings.mem_mb, 0, SCORING_MINUTES + further)

    @cached_property
    def _recorded(self) -> RecordedJobs:
        return RecordedJobs(self.targets)

    @cached_property
    def _stored(self) -> StoredTrainings:
        return StoredTrainings(self._study.store, self._study.config.training.gpu)

    @property
    def _study(self) -> LoadedStudy:
        return self.targets.study

    @cached_property
    def speeds(self) -> Speeds:
        """Of the GPU that the study names."""
        return stored_speeds(self._study.config.training.gpu, self._study.store.root)

    @cached_property
    def stimuli(self) -> dict[str, int | None]:
        """Images of each stimulus set by its name; None where nobody knows yet."""
        return {name: count_stimuli(self._study, one) for name, one in self.targets.sets.items()}

    @cached_property
    def _subject_shapes(self) -> dict[tuple[str, str], SubjectShape | None]:
        return {}

    def subject_shape(self, subject: EncodingJob) -> SubjectShape | None:
        """The numbers of a subject, looked up once they are known: recordings may be prepared as the study runs."""
        key = subject.data, subject.benchmark
        if self._subject_shapes.get(key) is None:
            self._subject_shapes[key] = subject_shape(self._study, subject)
        return self._subject_shapes[key]

    def shape(self, run: Run) -> NetworkShape | None:
        """The shape of a run's network; None of a baseline, and where nobody has looked at it."""
        return shape_of(run.arch, self._study.store.cache()) if run.kind != "baseline" else None

    def _made_mb(self, run: Run) -> float:
        """Of the making of a network that is not trained here: twice its weights, and the images that evaluate it."""
        shape = self.shape(run)
        if shape is None:
            return LEAST_MB if run.kind == "baseline" else UNKNOWN_MB
        evaluated = EVALUATED_AT_ONCE * shape.live * HELD_ON_CPU if run.dataset and run.kind == "untrained" else 0
        return LIBRARIES_MB + WATCHERS_MB + (COPIES_OF_WEIGHTS * shape.weights + evaluated) / MB

    def _trained_gpu_mb(self, run: Run) -> float:
        """Of a training: weights, gradients, the optimiser's numbers, and what the backward pass needs of an image."""
        shape, facts = self.shape(run), recipe_facts(run)
        if shape is None:
            return 0.0
        kept = training_time.KEPT_OF_RESULTS * shape.made * (1 if facts.precision == "fp32" else 0.5)
        images = run.training_recipe.images_at_once(run.arch)
        if training_time.is_large(self._study, [run]):
            images = ceil(images / (self._study.config.training.gpus * self._study.config.training.nodes))
        return CONTEXT_MB + ((facts.copies + 1) * shape.weights + images * kept) / MB

    def _making_minutes(self, runs: Sequence[Run], recorded: Sequence[Recorded]) -> int:
        """By what was recorded of each run, or of its network in other studies, else by its plan. Where it says nothing
        there is one limit for all."""
        known = training_time.JOB_START
        planned = []
        for run, one in zip(runs, recorded, strict=True):
            seconds = one.seconds or (self._trained_seconds(run) if run.kind == "trained" else self.made_seconds(run))
            if seconds or run.kind != "trained":
                known += seconds
            else:
                planned.append(run)
        if not planned:
            return training_time.limit_minutes(known)
        gpus = max(training_time.job_gpus(self._study, runs), 1)
        more = training_time.limit_minutes(known) if len(planned) < len(runs) else 0
        return training_time.job_minutes(self._study, planned, gpus) + more

    def _trained_seconds(self, run: Run) -> float:
        """Of a training, by others of its network in the store; 0 where none tells, or its images can't be counted."""
        seconds, images = self._stored.device_seconds(run), self._recorded.images(run)
        if seconds is None or images is None:
            return 0.0
        return seconds * images / max(training_time.job_gpus(self._study, [run]), 1)

    def made_seconds(self, run: Run) -> float:
        """Of the making of a network that is not trained here: to get its weights and write them."""
        shape = self.shape(run)
        if shape is None:
            return 0.0 if run.kind == "baseline" else 60.0 * UNKNOWN_MINUTES / training_time.LIMIT_FACTOR
        seconds = COPIES_OF_WEIGHTS * shape.weights / COPIED
        if run.kind == "untrained":
            return seconds + shape.n_params / DRAWN + self._evaluated(run) * 2 * shape.macs / CPU_FLOPS
        if run.kind == "pretrained" and not run.weights:
            return seconds + shape.weights / FETCHED
        if run.checkpoint is not None:
            return seconds + fetched_bytes(run.checkpoint, shape.n_params)[0] / FETCHED
        return seconds

    def _evaluated(self, run: Run) -> int:
        """Images that an untrained network is evaluated on."""
        try:
            return size_of(run, self._study.store.cache()).validation if run.dataset else 0
        except NeuroscalingError:  # of a data set that can't be counted
            return 0

    def extraction_seconds(self, run: Run, shape: NetworkShape | None, n: int | None, on_gpu: bool) -> float:
        """The `n` images through the network, and the features to the disk, one pass for all layers."""
        if run.kind == "baseline":
            return 0.0 if n is None else n / CPU_IMAGES
        if shape is None or n is None:
            return 60.0 * UNKNOWN_MINUTES / training_time.LIMIT_FACTOR
        config = self._study.config
        rate = CPU_FLOPS / (2 * max(shape.macs, 1))
        if on_gpu:
            rate = self.speeds.forward(run, shape.macs, config.extraction.autocast)
        asked = extracted_layers(config, run).get("candidates")
        width = sum(shape.widths(config.reduction, asked))
        numbers = 2 if config.extraction.dtype == "float16" else 4
        reads = shape.weights / COPIED
        return reads + written_seconds(n, rate, width, numbers, config.extraction, self.speeds.gpu if on_gpu else None)

    def encoding_cost(self, run: Run, subject: EncodingJob, shape: SubjectShape | None) -> tuple[float, float]:
        """Megabytes and seconds of all metrics of a network and subject; 0 where a size is not known."""
        from neuroscaling.encoding.settings import EncodingSettings  # this and the next take a moment to import
        from neuroscaling.planning.encoding_costs import RIDGE, Mapping, metric_cost

        config, network = self._study.config, self.shape(run)
        if shape is None or network is None:
            return 0.0, 0.0
        widths = network.widths(config.reduction, extracted_layers(config, run).get("candidates"))
        settings = EncodingSettings.of(subject.entry, config.protocol)
        fits = fits_of(subject.entry, config.protocol, shape)
        costs = [(metric, metric_cost(metric, Mapping(widths, shape, fits, settings))) for metric in settings.metrics]
        faster = GPU_RIDGE * SINGLE[self.speeds.gpu] / RIDGE if subject.entry.ridge.gpu else 1.0
        seconds = sum(cost.seconds / (faster if metric == "ridge" else 1) for metric, cost in costs)
        return WATCHERS_MB + max(cost.memory_mb for _, cost in costs), seconds


EVALUATED_AT_ONCE = 256
"""Images, at most, that go through a network at once where it is evaluated."""
CPU_IMAGES = 20
"""Images a second of a baseline: Gabor energies take longest."""
GPU_RIDGE = 0.3
"""Share of the peak in single precision that ridge reaches on a GPU; none was measured."""


def _extraction_mb(shape: NetworkShape, batch: int, gram: float, on_gpu: bool) -> tuple[float, float]:
    """Megabytes on the host, where the batch may go through a CPU all the same, and on the GPU.

    gram: of one layer's inner products. A batch that a GPU has no room for goes through in parts.
    """
    batch = max(batch, 2)
    fixed = LIBRARIES_MB + WATCHERS_MB + WAITING_MB + COPIES_OF_WEIGHTS * shape.weights / MB
    forward = batch * shape.live / MB
    host = fixed + max(HELD_ON_CPU * forward, 2 * gram)
    if not on_gpu:
        return host, 0.0
    device = CONTEXT_MB + max(shape.weights / MB + HELD_ON_GPU * forward, gram + shape.weights / MB)
    # Features of one layer wait at least, however many they are.
    return max(host, fixed + CUDA_MB + batch * shape.largest / MB + 2 * gram), device


def _with_margin(peak_mb: float) -> float:
    """What a like job of that peak asks for: of its process, and of those that watch it."""
    return MARGIN * peak_mb + WATCHERS_MB if peak_mb else 0.0


def _hundreds(megabytes: float) -> int:
    """Rounded up to whole hundreds."""
    return 100 * ceil(megabytes / 100)
