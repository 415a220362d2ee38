"""Start choose_layers.py in Brain-Score's environment, with a job file.

params: outputs (a ScoreJob for each file of chosen layers), choice {way, hierarchy, inner_splits}, definitions, code
config: located.brainscore (python, scripts, folders, ceilings, hang_seconds); resources: runtime; log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import become
from neuroscaling.brainscore.runs_job import choice_job

params, located = snakemake.params, snakemake.config["located"]["brainscore"]
if job := choice_job(params.outputs, params, located, snakemake.resources.get("runtime")):
    become(located["python"] or sys.executable, Path(located["scripts"], "choose_layers.py"), job, snakemake.log[0])
