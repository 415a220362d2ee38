"""What the wheel holds beside the package: the pipeline, in the package's folder `pipeline/`.

In a checkout these files lie at the top, where Snakemake, snakedeploy and people look for them.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PIPELINE = ("Snakefile", "workflow", "config", "profiles", "envs")
INSIDE = "neuroscaling/pipeline"


class PipelineHook(BuildHookInterface):
    """Hatchling calls it before it builds a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the pipeline into the wheel; an editable install takes it from the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        build_data["force_include"] |= {str(root / part): f"{INSIDE}/{part}" for part in PIPELINE}
        build_data["force_include"][str(root / "envs/library.py")] = f"{INSIDE}/library/neuroscaling/__init__.py"
