"""Write Snakemake's graph of the rules.

output: dot; config: study (file), located.snakefile; log[0].
"""

import subprocess
import sys

from neuroscaling.core.files import atomic_path

command = [sys.executable, "-m", "snakemake", "--snakefile", snakemake.config["located"]["snakefile"]]
command += ["--nolock", "--quiet", "all", "--rulegraph", "dot"]
command += ["--config", f"study={snakemake.config['study']}", "whole=true"]
# Under its own name when it is whole: whoever sees it may edit the study.
with atomic_path(snakemake.output.dot) as temporary:
    with open(temporary, "wb") as dot, open(snakemake.log[0], "wb") as log:
        status = subprocess.run(command, stdout=dot, stderr=log).returncode
    if status:
        sys.exit(status)
