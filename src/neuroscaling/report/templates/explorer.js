// The figures of the laws.
"use strict";
