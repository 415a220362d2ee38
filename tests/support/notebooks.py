"""Notebooks of the documentation, run in a kernel of this environment."""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "docs/notebooks"
SECONDS = 800  # that a kernel may take to start, or a cell: then it hangs


def run_notebook(name: str) -> str:
    """All that the cells print, as text; the kernel imports the package of this repository. Raises where one fails."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    places = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        # Sockets that are files, and no ports: of two kernels that start at once, one could take the other's.
        sockets = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/socket"})
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            startup_timeout=SECONDS,
            config=sockets,
            resources={"metadata": {"path": str(NOTEBOOKS)}},
        )
        client.execute(env={**os.environ, "PYTHONPATH": places})
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)
