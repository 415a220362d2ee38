"""One process does all of Brain-Score's work for some runs: their layers, then their scores on all recordings.

A rule makes the job of what it is given, in the environment of Snakemake; a command in Brain-Score's environment does
it, so imports of one of the two stand in functions. One set of recordings is in memory at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.brainscore.job_files import ChoiceJob, ChoiceOutput, ChosenSet, RunsJob, ScoreOutput, WayOfChoice
from neuroscaling.core.hangs import patience_of_job
from neuroscaling.core.logs import Pieces

if TYPE_CHECKING:
    from neuroscaling.study.jobs import ScoreJob


def choice_job(
    outputs: Sequence["ScoreJob"], params: Any, located: Mapping[str, Any], minutes: float | None
) -> ChoiceJob | None:
    """The choice of the layers of `outputs` that can be done; None where there is none.

    params: of the rule: choice {way, hierarchy, inner_splits}, definitions, code; located: folders, ceilings,
    hang_seconds; minutes: the job's time limit.
    """
    from neuroscaling.study.jobs import sound

    outputs = sound(outputs, together=params.choice["hierarchy"])
    benchmarks: dict[tuple[str, str], dict[str, None]] = {}
    for one in outputs:
        benchmarks.setdefault((one.stimuli, one.data), {})[one.benchmark] = None
    job = ChoiceJob(
        outputs=[
            ChoiceOutput(one.path, one.run, one.benchmark, one.stimuli, one.activations, one.definition)
            for one in outputs
        ],
        sets=[
            ChosenSet(stimuli=stimuli, folder=Path(located["folders"][data]), data=data, benchmarks=list(names))
            for (stimuli, data), names in benchmarks.items()
        ],
        choice=WayOfChoice(**params.choice),
        definitions=params.definitions,
        ceilings=Path(located["ceilings"]),
        code=params.code,
        patience=patience_of_job(located["hang_seconds"], minutes),
    )
    return job if outputs else None


def score_outputs(outputs: Sequence["ScoreJob"]) -> dict[str, list[ScoreOutput]]:
    """The score files of `outputs` that can be made, by the name of the recordings."""
    from neuroscaling.study.jobs import sound

    found: dict[str, list[ScoreOutput]] = {}
    for one in sound(outputs):
        made = ScoreOutput(one.path, one.run, one.benchmark, one.activations, one.definition, one.commitment)
        found.setdefault(one.data, []).append(made)
    return found


def do_job(job: RunsJob) -> None:
    """Choose layers, then score on one set of recordings after another; for the environment of Brain-Score.

    What goes wrong in one keeps no other from being done. Raises DataError of all that went wrong; scores whose layers
    could not be chosen are left out of it.
    """
    from neuroscaling.brainscore import environment
    from neuroscaling.brainscore.commitment import choose_layers
    from neuroscaling.brainscore.scoring_job import score_runs

    pieces = Pieces(len(job.choices) + len(job.scoring) == 1)
    with environment.prepared():
        for choice in job.choices:
            with pieces.piece("choice of layers"):
                choose_layers(choice)
        for scoring in job.scoring:
            outputs = scoring.outputs
            if pieces.problems:
                outputs = [out for out in outputs if out.commitment is None or out.commitment.exists()]
            with pieces.piece(scoring.data_name):
                score_runs(replace(scoring, outputs=outputs))
    pieces.end()
