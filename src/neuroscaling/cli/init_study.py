"""The text of a new study and of its laws: as the shipped ones look, with the laws that its runs give rows to."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.cli.init_recordings import LADDER, Recordings, quoted
from neuroscaling.core.errors import number_of
from neuroscaling.core.installation import CHECKOUT, PIPELINE
from neuroscaling.datasets.format_folders import read_folders
from neuroscaling.study import architectures

DIGITS, NONE = "digits", "none"
SMALL = re.compile(r"(resnet|vit)_w\d+(@\d+)?")
RECIPES = {"ViT": "deit300", "Swin": "deit300", "ConvNeXt": "convnext300"}
"""Recipes by family; `sgd100` for others, and shorter ones for the small networks of the zoo."""
FEWEST_X, FOR_ASYMPTOTE = 3, 5
"""Different values of x that a straight line takes, and a law with an asymptote."""
HEAD = """# yaml-language-server: $schema={schema}
# {what}
#
#   neuroscaling plan {file}     # what it costs, before anything runs
#   neuroscaling run {file}      # to its report, results/{name}/report/index.html
#
# All keys are described in config/README.md of the repository. What is done is never done again when you change a line.
"""


@dataclass(frozen=True)
class Images:
    """Training images. key: the data set's name in the study; entry: its line; about: what it is; samples: a class."""

    key: str
    entry: str
    about: str
    samples: tuple[int | str, ...]


@dataclass(frozen=True)
class Plan:
    """A study to write. kind: of its networks: trained (images are there), pretrained or untrained; recordings: None
    where validation accuracy alone is measured."""

    name: str
    file: Path
    networks: tuple[str, ...]
    kind: str
    images: Images | None = None
    recordings: Recordings | None = None

    @property
    def fits_file(self) -> Path:
        """The file of laws beside the study."""
        return self.file.with_name(f"{self.file.stem}-fits.yaml")

    @property
    def has_laws(self) -> bool:
        """Whether any law can have enough points."""
        return len(fits_text(self)) > 0


def digits() -> Images:
    """scikit-learn's digits: 139 images of the rarest class."""
    return Images("digits", "{format: digits}", "1,797 real handwritten digits: no download", (1, 3, 10, 30, "all"))


def image_folder(folder: Path, train: str, validation: str) -> Images:
    """Images in one folder a class, counted. Raises DataError for folders that can't be read."""
    counts = read_folders(folder / train).counts()
    fewest, most = min(counts.values()), max(counts.values())
    entry = [f"format: imagefolder, root: {quoted(str(folder.resolve()))}"]
    entry += [f"train: {quoted(train)}"] * (train != "train") + [f"validation: {quoted(validation)}"] * (
        validation != "val"
    )
    entry += [f"classes: {len(counts)}", f"images: {sum(counts.values())}"]
    each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    about = f"{len(counts):,} classes of {each} images; other numbers than these are an error"
    numbers = [number for number in LADDER if number < fewest]
    name = data_name(folder.resolve().name)
    key = f"{name}-images" if name == DIGITS else name
    return Images(key, f"{{{', '.join(entry)}}}", about, (*numbers, "all"))


def study_text(plan: Plan) -> str:
    """The study file."""
    what = number_of(len(plan.networks), f"{plan.kind} network")
    head = HEAD.format(
        schema=schema_path("schema.json", plan.file), what=f"A study of {what}.", file=plan.file, name=plan.name
    )
    title = f"{plan.name}: {', '.join(plan.networks[:3])}{' and others' if len(plan.networks) > 3 else ''}"
    parts = [
        head,
        f"study: {quoted(plan.name)}\n",
        f"title: {quoted(title)}   # of the report\n",
        "store: ${NEUROSCALING_STORE:-store}   # what studies share\n",
    ]
    if plan.images:
        parts.append(f"datasets:\n  {quoted(plan.images.key)}: {plan.images.entry}   # {plan.images.about}\n")
    parts.append("runs:\n" + "".join(_groups(plan)))
    small = all(map(SMALL.fullmatch, plan.networks))
    parts.append(
        f"reduction: {{kind: grid, size: {2 if small else 4}}}   # what is kept of each layer: means of cells\n"
    )
    if small:
        parts.append("training: {runs_per_job: 10}   # small networks share a job\nruns_per_job: 10   # here too\n")
    if plan.recordings:
        parts.append(plan.recordings.text)
    if plan.images:
        parts.append("\n# Validation accuracy goes into the score table too.\naccuracy: true\n")
    if plan.has_laws:
        parts.append(f"\n# Which laws are fitted to which scores.\nfits: [{quoted(plan.fits_file.name)}]\n")
    else:
        parts.append("\n# No laws: three numbers of images, or three networks, are the fewest that a law takes.\n")
    return "".join(parts)


def fits_text(plan: Plan) -> str:
    """The file of laws; empty where no law can have rows enough."""
    laws = [*_of_training(plan), *_of_size(plan), *_of_mapping(plan)]
    if not laws:
        return ""
    head = f"""# yaml-language-server: $schema={schema_path("schema-fits.json", plan.file)}
# Laws of the study {plan.name}: each is fitted to the rows that pass its filters, one law for each combination of `by`.
# docs/laws.md has all forms, and says what a law states.
fits:
"""
    return head + "\n".join(laws)


def _groups(plan: Plan) -> list[str]:
    """The groups of runs: of one recipe each, then untrained twins to compare with."""
    names = ", ".join(map(quoted, plan.networks))
    if plan.kind == "pretrained":
        about = "  # Weights as published, fetched through timm or from a folder (`weights: FOLDER`).\n"
        own = [f"{about}  - pretrained: [{names}]\n"]
    elif plan.images:
        own = [
            f"  - archs: [{', '.join(map(quoted, of_recipe))}]\n    datasets: [{quoted(plan.images.key)}]\n"
            f"    recipe: {recipe}\n"
            f"    samples_per_class: [{', '.join(map(str, plan.images.samples))}]   # nested subsets\n"
            "    seeds: [0]   # [0, 1, 2] shows what chance does\n"
            for recipe, of_recipe in _by_recipe(plan).items()
        ]
    else:
        own = []
    twins = f"  - {{untrained: [{names}], seeds: [0]}}\n"
    return [*own, *([f"  # The same networks untrained, to compare with.\n{twins}"] if own else [twins])]


def _by_recipe(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in plan.networks:
        of_digits = plan.images is not None and plan.images.key == DIGITS
        small = "digits" if of_digits else "fashion"
        recipe = small if SMALL.fullmatch(name) else RECIPES.get(architectures.family_of(name), "sgd100")
        found.setdefault(recipe, []).append(name)
    return found


def _of_training(plan: Plan) -> list[str]:
    """Laws of training images."""
    if not plan.images or len(plan.images.samples) < FEWEST_X:
        return []
    enough = len(plan.images.samples) >= FOR_ASYMPTOTE
    forms = "[log_linear, power_law]" if enough else "[log_linear]"
    families = ", ".join(sorted({architectures.family_of(name) for name in plan.networks}))
    shared = f"    forms: {forms}\n    x: n_samples\n"
    end = "    cluster: [arch, samples_per_class]\n    bootstraps: 200\n"
    accuracy = (
        f"  - name: accuracy\n{shared}    filters: {{kind: trained, benchmark: validation}}\n"
        f"    by: {{arch_family: [{families}]}}\n{end}"
    )
    if not plan.recordings:
        return [accuracy]
    regions = ", ".join(map(quoted, plan.recordings.regions))
    brain = (
        f"  # Alignment with the brain against training images.\n  - name: training-images\n{shared}"
        f"    y: {plan.recordings.y}\n"
        f"    filters: {{kind: trained, {plan.recordings.subset}{plan.recordings.largest}}}\n"
        f"    by: {{region: [{regions}], arch_family: [{families}]}}\n{end}"
    )
    return [brain, accuracy]


def _of_size(plan: Plan) -> list[str]:
    """Laws of parameters: one network is one point."""
    sizes = Counter(map(architectures.without_size, plan.networks))
    if not plan.recordings or len(sizes) < FEWEST_X:
        return []
    which = "kind: trained, samples_per_class: 0" if plan.images else f"kind: {plan.kind}"
    regions = ", ".join(map(quoted, plan.recordings.regions))
    return [
        "  # Alignment against parameters: a network is a point.\n  - name: parameters\n    form: log_linear\n"
        f"    x: n_params\n    y: {plan.recordings.y}\n"
        f"    filters: {{{which}, {plan.recordings.subset}{plan.recordings.largest}}}\n"
        f"    by: {{region: [{regions}]}}\n    bootstraps: 200\n"
    ]


def _of_mapping(plan: Plan) -> list[str]:
    """Laws of mapping images."""
    found = plan.recordings
    if not found or len(found.samples) < FEWEST_X:
        return []
    which = "kind: trained, samples_per_class: 0" if plan.images else f"kind: {plan.kind}"
    regions = ", ".join(map(quoted, found.regions))
    cluster = found.unit if found.n_units > 1 else "run"
    if cluster == "run" and len(plan.networks) < 2:
        cluster = ""
    return [
        "  # Prediction of the recordings against the images that mappings are fitted on.\n"
        "  - name: mapping-images\n    forms: [log_linear, sqrt_saturating]\n    x: n_mapping\n    y: raw\n"
        f"    filters: {{{which}, {found.subset}}}\n    group_by: [run, {found.unit}, n_mapping]\n"
        f"    by: {{region: [{regions}]}}\n    cluster: [{cluster}]\n    bootstraps: 200\n"
    ]


def schema_path(name: str, file: Path) -> str:
    """Where an editor finds a schema: relative within a checkout, so that it can move."""
    schema, folder = PIPELINE / "config" / name, file.resolve().parent
    inside = PIPELINE == CHECKOUT and folder.is_relative_to(CHECKOUT)
    return os.path.relpath(schema, folder) if inside else str(schema)


def data_name(text: str) -> str:
    """A name for a data set or recordings, made of what a folder is called."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40] or "mine"
