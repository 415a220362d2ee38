"""Start score_brainscore.py in Brain-Score's environment, with a job file.

input: activations (manifest of each run's), layers, data; output: score files
params: layers, readout, data, simulated, references, definitions, engine, protocol, code
config: located.brainscore (python, scripts, folders, ceilings, commitments, choice); log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import ScoringJob, become

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
job = ScoringJob(
    activations=list(snakemake.input.activations),
    outputs=list(snakemake.output),
    data=located["folders"][params.data],
    data_name=params.data,
    simulated=params.simulated,
    layers=params.layers,
    readout=params.readout or None,
    protocol=params.protocol,
    engine=params.engine,
    commitments=located["commitments"],
    choice=located["choice"],
    references=params.references,
    definitions=params.definitions,
    ceilings=Path(located["ceilings"]) / params.data,
    code=params.code,
)
become(located["python"] or sys.executable, Path(located["scripts"], "score_brainscore.py"), job, snakemake.log[0])
