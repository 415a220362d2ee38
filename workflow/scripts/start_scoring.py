"""Start score_brainscore.py in Brain-Score's environment, with a job file.

params: chosen (a ScoreJob for each file of layers to choose first), choice (as start_choice.py), outputs (a ScoreJob
for each score file), layers, readout, simulated (names of recordings), definitions, engine, protocol, code; config:
located.brainscore (python, scripts, folders, ceilings, hang_seconds); resources: runtime; log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import RunsJob, ScoringJob, become
from neuroscaling.brainscore.runs_job import choice_job, score_outputs
from neuroscaling.core.hangs import patience_of_job

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
minutes = snakemake.resources.get("runtime")
choice = choice_job(params.chosen, params, located, minutes)
scoring = [
    ScoringJob(
        outputs=outputs,
        data=Path(located["folders"][data]),
        data_name=data,
        simulated=data in params.simulated,
        layers=params.layers,
        readout=params.readout or None,
        protocol=params.protocol,
        engine=params.engine,
        definitions=params.definitions,
        ceilings=Path(located["ceilings"]),
        code=params.code,
        patience=patience_of_job(located["hang_seconds"], minutes),
    )
    for data, outputs in score_outputs(params.outputs).items()
]
if choice or scoring:
    job = RunsJob([choice] if choice else [], scoring)
    become(located["python"] or sys.executable, Path(located["scripts"], "score_brainscore.py"), job, snakemake.log[0])
