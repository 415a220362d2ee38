"""Snakemake's graph of rules is drawn in layers: what feeds a rule stands above it."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.files import atomic_path

NODE = re.compile(r'^\s*"?(\w+)"?\s*\[.*?label\s*=\s*"([^"]*)"')
EDGE = re.compile(r'^\s*"?(\w+)"?\s*->\s*"?(\w+)"?')


@dataclass(frozen=True)
class Graph:
    """labels: of the nodes by id; edges: (from, to)."""

    labels: dict[str, str]
    edges: list[tuple[str, str]]


def draw_rulegraph(dot_text: str, out_svg: str | Path) -> None:
    """Draw Snakemake's `--rulegraph dot` text to `out_svg`."""
    graph = parse_dot(dot_text)
    with atomic_path(out_svg) as temporary:
        temporary.write_text(_drawn(graph), encoding="utf-8")


def parse_dot(text: str) -> Graph:
    """Nodes and edges of the subset of the DOT language that Snakemake writes."""
    labels: dict[str, str] = {}
    edges = []
    for line in text.splitlines():
        if match := EDGE.match(line):
            edges.append((match[1], match[2]))
        elif (match := NODE.match(line)) and match[1] not in ("node", "edge", "graph"):
            labels[match[1]] = match[2].replace("\\n", "\n")
    for node in (node for edge in edges for node in edge):
        labels.setdefault(node, node)
    return Graph(labels, edges)


def layers(graph: Graph) -> list[list[str]]:
    """Nodes by the length of the longest path that leads to them; within a layer below their parents."""
    depth = dict.fromkeys(graph.labels, 0)
    for _ in graph.labels:
        for start, end in graph.edges:
            depth[end] = min(max(depth[end], depth[start] + 1), len(depth))
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in graph.labels:
        rows[depth[node]].append(node)
    place: dict[str, float] = {}
    for row in rows:
        parents = {n: [place[a] for a, b in graph.edges if b == n and a in place] for n in row}
        row.sort(key=lambda n: (sum(parents[n]) / len(parents[n]) if parents[n] else 0.5, graph.labels[n]))
        place.update({n: (i + 0.5) / len(row) for i, n in enumerate(row)})
    return [row for row in rows if row]


def _drawn(graph: Graph) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    rows = layers(graph)
    place = {n: ((i + 0.5) / len(row), -depth) for depth, row in enumerate(rows) for i, n in enumerate(row)}
    width = max((len(row) for row in rows), default=1)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "rulegraph", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(max(4.0, 1.6 * width), max(1.5, 0.62 * len(rows))))
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(-len(rows) + 0.5, 0.5))
        arrow = {"arrowstyle": "-|>", "color": "#5f6368", "shrinkA": 9, "shrinkB": 9, "linewidth": 0.8}
        for start, end in graph.edges:
            ax.annotate("", place[end], place[start], arrowprops=arrow)
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#0072B2"}
        for node, (x, y) in place.items():
            ax.text(x, y, graph.labels[node], ha="center", va="center", fontsize=8, bbox=box)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
