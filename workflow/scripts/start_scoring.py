"""Start score_brainscore.py in Brain-Score's environment, with a job file.

params: outputs (a ScoreJob for each score file), layers, readout, data, simulated, definitions, engine, protocol, code
config: located.brainscore (python, scripts, folders, ceilings); log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import ScoreOutput, ScoringJob, become
from neuroscaling.study.jobs import sound

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
outputs = [
    ScoreOutput(one.path, one.run, one.benchmark, one.activations, one.definition, one.commitment)
    for one in sound(params.outputs)
]
job = ScoringJob(
    outputs=outputs,
    data=Path(located["folders"][params.data]),
    data_name=params.data,
    simulated=params.simulated,
    layers=params.layers,
    readout=params.readout or None,
    protocol=params.protocol,
    engine=params.engine,
    definitions=params.definitions,
    ceilings=Path(located["ceilings"]),
    code=params.code,
)
if outputs:
    become(located["python"] or sys.executable, Path(located["scripts"], "score_brainscore.py"), job, snakemake.log[0])
