"""Write Snakemake's graph of the rules.

output: dot; config: study (file), located.snakefile; log[0].
"""

import subprocess
import sys

command = [sys.executable, "-m", "snakemake", "--snakefile", snakemake.config["located"]["snakefile"]]
command += ["--nolock", "--quiet", "all", "--rulegraph", "dot"]
command += ["--config", f"study={snakemake.config['study']}", "whole=true"]
with open(snakemake.output.dot, "wb") as dot, open(snakemake.log[0], "wb") as log:
    sys.exit(subprocess.run(command, stdout=dot, stderr=log).returncode)
