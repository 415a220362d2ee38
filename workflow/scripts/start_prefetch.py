"""Start prefetch_brainscore.py in Brain-Score's environment, with a job file.

params: benchmarks, manifest (where the list of the files is written); config: located.brainscore (python, scripts,
root); log[0].
"""

import sys
from pathlib import Path

from neuroscaling.brainscore.job_files import PrefetchJob, become

located = snakemake.config["located"]["brainscore"]
job = PrefetchJob(list(snakemake.params.benchmarks), located["root"], snakemake.params.manifest)
script = Path(located["scripts"], "prefetch_brainscore.py")
become(located["python"] or sys.executable, script, job, snakemake.log[0])
