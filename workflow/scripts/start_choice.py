"""Start choose_layers.py in Brain-Score's environment, with a job file.

params: outputs (a ScoreJob for each file of chosen layers), choice {way, hierarchy, inner_splits}, definitions, code
config: located.brainscore (python, scripts, folders, ceilings); log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import ChoiceJob, ChoiceOutput, ChosenSet, WayOfChoice, become
from neuroscaling.study.jobs import sound

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
outputs = sound(params.outputs, together=params.choice["hierarchy"])
benchmarks = {}
for one in outputs:
    benchmarks.setdefault((one.stimuli, one.data), {})[one.benchmark] = None
job = ChoiceJob(
    outputs=[
        ChoiceOutput(one.path, one.run, one.benchmark, one.stimuli, one.activations, one.definition) for one in outputs
    ],
    sets=[
        ChosenSet(stimuli=stimuli, folder=Path(located["folders"][data]), data=data, benchmarks=list(names))
        for (stimuli, data), names in benchmarks.items()
    ],
    choice=WayOfChoice(**params.choice),
    definitions=params.definitions,
    ceilings=Path(located["ceilings"]),
    code=params.code,
)
if outputs:
    become(located["python"] or sys.executable, Path(located["scripts"], "choose_layers.py"), job, snakemake.log[0])
