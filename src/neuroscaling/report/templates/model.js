// One network: its training, layers, scores and settings.
"use strict";
