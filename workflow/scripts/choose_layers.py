"""Choose the layers that stand for regions; a plain command for the brainscore environment's interpreter.

--activations MANIFEST [MANIFEST ...] --job SET FOLDER DATA BENCHMARK,... [--job ...] --choice JSON
[--definitions JSON] [--ceilings FOLDER] [--code FINGERPRINT] [--log FILE]
--outputs <run>/<data>/<benchmark>-<choice>.json [...]
"""

import sys

from neuroscaling.logs import script_logging

LOG = sys.argv[sys.argv.index("--log") + 1] if "--log" in sys.argv[:-1] else None

with script_logging(LOG):
    from neuroscaling.brainscore.choose_job import choose_all, parse

    choose_all(parse())
