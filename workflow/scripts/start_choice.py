"""Start choose_layers.py in Brain-Score's environment, with a job file.

input: activations (a manifest for each run and stimulus set), data; output: files of chosen layers
params: choice, definitions, code; config: located.brainscore (python, scripts, sets, ceilings); log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import ChoiceJob, ChosenSet, become

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
job = ChoiceJob(
    activations=list(snakemake.input.activations),
    outputs=list(snakemake.output),
    sets=[ChosenSet(**chosen) for chosen in located["sets"]],
    choice=params.choice,
    definitions=params.definitions,
    ceilings=located["ceilings"],
    code=params.code,
)
become(located["python"] or sys.executable, Path(located["scripts"], "choose_layers.py"), job, snakemake.log[0])
