"""Score runs on Brain-Score benchmarks; a plain command for the brainscore environment's interpreter.

--activations MANIFEST [MANIFEST ...] (--data FOLDER | --folders NAME=FOLDER [...]) --data-name NAME [--simulated]
[--layers JSON] [--readout LAYER]
[--commitments FOLDER --choice KEY --references JSON] [--definitions JSON] [--engine kernel|stock]
[--protocol corrected|parity] [--ceilings FOLDER] [--code FINGERPRINT] [--log FILE]
--outputs <run>/<data>/<benchmark>.json [...]
"""

import sys

from neuroscaling.logs import script_logging

LOG = sys.argv[sys.argv.index("--log") + 1] if "--log" in sys.argv[:-1] else None

with script_logging(LOG):
    from neuroscaling.brainscore.job import parse, score_all

    score_all(parse())
