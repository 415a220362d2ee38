// What the cells of tables say, and which rows a filter finds: words, and conditions on numbers such as `> 0.4`.
"use strict";
neuroscaling.filters = (() => {
  const UNITS = { k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12 };
  const NUMBER = "[+-]?(?:\\d[\\d,]*\\.?\\d*|\\.\\d+)(?:e[+-]?\\d+)?\\s*[kmgbt]?";
  const CONDITION = new RegExp(`^(>=|<=|!=|>|<|=|≥|≤|≠)?\\s*(${NUMBER})$`, "i");
  const RANGE = new RegExp(`^(${NUMBER})\\s*(?:\\.\\.|–|to)\\s*(${NUMBER})$`, "i");
  const TESTS = {
    ">": (value, limit) => value > limit,
    "<": (value, limit) => value < limit,
    ">=": (value, limit) => value >= limit,
    "<=": (value, limit) => value <= limit,
    "=": (value, limit) => isNear(value, limit),
    "!=": (value, limit) => !isNear(value, limit),
  };
  const SAME = { "≥": ">=", "≤": "<=", "≠": "!=" };

  // Cells are rounded to five digits, and nobody types more.
  const isNear = (value, limit) => Math.abs(value - limit) <= 1e-5 * Math.max(Math.abs(value), Math.abs(limit));

  function amount(text) {
    const unit = UNITS[text.slice(-1).toLowerCase()];
    return Number((unit ? text.slice(0, -1) : text).replaceAll(",", "")) * (unit || 1);
  }

  function condition(text) {
    const range = RANGE.exec(text);
    if (range) return (value) => value >= amount(range[1]) && value <= amount(range[2]);
    const found = CONDITION.exec(text);
    if (!found) return null;
    const test = TESTS[SAME[found[1]] || found[1] || "="];
    return (value) => test(value, amount(found[2]));
  }

  // A test of numbers: `> 0.4`, `<= 10M`, `0.2..0.4`, `none`, or several with `and` or a comma and a space between them.
  // null for a text that is no condition. Missing numbers pass `none` alone.
  function numeric(text) {
    const parts = text.trim().split(/\s+and\s+|;\s*|,\s+|\s+(?=[<>=!≥≤≠])/i).filter(Boolean);
    if (parts.length === 1 && /^(none|missing|–|-)$/i.test(parts[0])) return (value) => value === null;
    const tests = parts.map((part) => condition(part.trim()));
    if (!tests.length || tests.includes(null)) return null;
    return (value) => value !== null && tests.every((test) => test(value));
  }

  // IT finds the region and MajajHong2015public.IT-pls, but not vit_w8.
  const startOfWord = (word) => new RegExp(`(^|[^A-Za-z0-9])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "i");

  // A test of texts: every word must stand at the start of a word.
  function words(text) {
    const wanted = text.split(/\s+/).filter(Boolean).map(startOfWord);
    return (value) => value !== null && wanted.every((word) => word.test(value));
  }

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  // A number as a cell shows it: 61.1M, 2.42e16, 56,500, 0.357.
  function shown(value) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    if (size >= 1e15) return value.toExponential(2).replace("e+", "e");
    for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]]) {
      if (size >= limit) return `${Number((value / limit).toPrecision(3))}${unit}`;
    }
    if (Number.isInteger(value)) return whole.format(value);
    return size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(size < 1 ? 3 : 4)));
  }

  // A score with three digits behind the point, so that a column lines up.
  const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

  return { numeric, words, shown, score };
})();
