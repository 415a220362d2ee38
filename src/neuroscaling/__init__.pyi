# What editors and type checkers see: the package itself loads these when they are first asked for.
from neuroscaling.api.extraction import extract as extract
from neuroscaling.api.laws import fit as fit
from neuroscaling.api.scoring import score as score
from neuroscaling.api.studies import open_study as open_study

__version__: str
