"""This package, for an interpreter of another environment, such as Brain-Score's.

The wheel holds this file as `pipeline/library/neuroscaling/__init__.py`. That folder in PYTHONPATH gives an interpreter
this library and nothing else of the environment that pip installed it in. The modules are those beside `pipeline/`.
"""

from pathlib import Path

PACKAGE = Path(__file__).parents[3]
__path__ = [str(PACKAGE)]
exec(compile((PACKAGE / "__init__.py").read_text(encoding="utf-8"), str(PACKAGE / "__init__.py"), "exec"))
