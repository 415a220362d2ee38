"""The partitions of a cluster, as Slurm tells of them, and which of them can take a job.

`sinfo` has the nodes of each partition, `scontrol show partition` its further limits. A job that no partition can take
would wait in the queue for ever, or be refused one by one: it is named before anything is submitted. Time is no such
limit: a training that is cut off goes on in its next try, so times are cut to what the longest partition allows.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from neuroscaling.core.errors import number_of

SINFO = ("sinfo", "--noheader", "--exact", "--format", "\x1f".join(("%P", "%a", "%l", "%D", "%c", "%m", "%G", "%f")))
SCONTROL = ("scontrol", "show", "partition", "--oneliner")
GPUS = re.compile(r"(?:^|,)gpu(?::([A-Za-z][\w.-]*))?:(\d+)")
FOR_TESTS = re.compile(r"debug|test|devel|interactive|short", re.IGNORECASE)
"""Partitions that are for trials, by their names: others are taken where others do."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind. memory: MB of one; gpus: of one, with the names of their models."""

    count: int
    cpus: int
    memory: int
    gpus: int = 0
    models: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    """What a job asks for. memory: MB of each node; minutes: 0 for none; cpus: of each node; gpus: of all nodes."""

    memory: int = 0
    minutes: int = 0
    cpus: int = 1
    gpus: int = 0
    nodes: int = 1
    model: str = ""
    features: frozenset[str] = frozenset()
    partition: str = ""
    account: str = ""

    @property
    def gpus_of_a_node(self) -> int:
        """GPUs that each of the nodes must have."""
        return ceil(self.gpus / max(1, self.nodes))

    def __str__(self) -> str:
        parts = [f"{self.memory} MB"] if self.memory else []
        parts += [f"{self.cpus} CPUs" if self.cpus != 1 else "1 CPU"]
        parts += [f"{self.gpus} GPUs {self.model}".strip()] if self.gpus else []
        parts += [f"{self.nodes} nodes"] if self.nodes > 1 else []
        parts += [f"nodes with {', '.join(sorted(self.features))}"] if self.features else []
        return ", ".join(parts) + (f" in partition {self.partition}" if self.partition else "")


@dataclass(frozen=True)
class Partition:
    """A partition: its nodes, and limits of a job on each of them. minutes: the longest time."""

    name: str
    nodes: tuple[Nodes, ...]
    minutes: float = inf
    is_default: bool = False
    is_up: bool = True
    is_preempted: bool = False
    most_nodes: float = inf
    most_cpus: float = inf
    most_memory: float = inf
    most_gpus: float = inf
    accounts: frozenset[str] = frozenset()

    @property
    def gpus(self) -> int:
        """GPUs of its best node."""
        return max((kind.gpus for kind in self.nodes), default=0)

    def able(self, asked: Asked) -> int:
        """How many of its nodes are as a job asks; 0 also where another limit keeps the job out."""
        if not self.is_up or asked.nodes > self.most_nodes or asked.gpus > self.most_gpus:
            return 0
        if asked.memory > self.most_memory or asked.cpus > self.most_cpus:
            return 0
        if asked.account and self.accounts and asked.account not in self.accounts:
            return 0
        found = sum(kind.count for kind in self.nodes if _is_as_asked(kind, asked))
        return found if found >= asked.nodes else 0

    def __str__(self) -> str:
        if not self.nodes:
            return f"{self.name} (no nodes)"
        kinds = [(kind.cpus, kind.memory, kind.gpus) for kind in self.nodes]
        cpus, memory, gpus = (max(values) for values in zip(*kinds, strict=True))
        cpus, memory, gpus = min(cpus, self.most_cpus), min(memory, self.most_memory), min(gpus, self.most_gpus)
        on = f", {gpus:.0f} GPUs" if gpus else ""
        count = sum(kind.count for kind in self.nodes)
        words = f"{number_of(count, 'node')} with up to {cpus:.0f} CPUs, {memory:.0f} MB{on}"
        words += f"; {in_words(self.minutes)}"
        return f"{self.name} ({words}{'' if self.is_up else '; it is down'})"


def _is_as_asked(kind: Nodes, asked: Asked) -> bool:
    return (
        kind.memory >= asked.memory
        and kind.cpus >= asked.cpus
        and kind.gpus >= asked.gpus_of_a_node
        and (not asked.model or not asked.gpus or asked.model.lower() in {model.lower() for model in kind.models})
        and asked.features <= kind.features
    )


@dataclass(frozen=True)
class Choice:
    """Where a job goes, for how many minutes (0: the partition's own), and with how much memory."""

    partition: str
    minutes: int
    memory: int


def choose(partitions: Sequence[Partition], asked: Asked, attempt: int = 1) -> Choice | None:
    """The partition for a job; None where none can take it. A time is cut to the longest partition that can.

    Jobs without GPUs keep out of partitions that have them, where they can. Then the default partition comes first,
    then those that are not for trials by their names, that are not preempted, and that have most fitting nodes.
    attempt: memory that grew with attempts above the first is cut to what the largest node has.
    """
    here = [one for one in partitions if asked.partition in ("", one.name)]
    able = [one for one in here if one.able(asked)]
    if not able and attempt > 1:
        sizes = sorted({kind.memory for one in here for kind in one.nodes} | {_finite(one.most_memory) for one in here})
        for memory in reversed([size for size in sizes if 0 < size < asked.memory]):
            if any(one.able(replace(asked, memory=memory)) for one in here):
                return choose(partitions, replace(asked, memory=memory))
        return None
    if not able:
        return None
    longest = max(one.minutes for one in able)
    minutes = asked.minutes if asked.minutes <= longest else int(longest)
    enough = [one for one in able if one.minutes >= minutes]
    best = min(enough, key=lambda one: _rank(one, asked))
    return Choice(best.name, minutes, asked.memory)


def _rank(one: Partition, asked: Asked) -> tuple[bool, bool, bool, bool, int]:
    needless = bool(one.gpus) and not asked.gpus
    for_tests = FOR_TESTS.search(one.name) is not None
    return needless, not one.is_default, for_tests, one.is_preempted, -one.able(asked)


def _finite(value: float) -> int:
    return 0 if value == inf else int(value)


def read_partitions(sinfo: str, scontrol: str = "") -> list[Partition]:
    """The partitions that the commands SINFO and SCONTROL printed, in their order.

    Those of administrators alone are left out. Without the second, limits beside time and nodes are unknown.
    """
    limits = {fields.get("PartitionName", ""): fields for fields in map(_fields, scontrol.splitlines())}
    tiers = [int(fields["PriorityTier"]) for fields in limits.values() if fields.get("PriorityTier", "").isdigit()]
    found: dict[str, Partition] = {}
    for line in sinfo.splitlines():
        cells = line.split("\x1f")
        if len(cells) != 8:
            continue
        name, state, time, *node = (cell.strip() for cell in cells)
        bare = name.removesuffix("*")
        known = found.get(bare) or _bare(bare, name, state, time, limits.get(bare, {}), max(tiers, default=0))
        found[bare] = replace(known, nodes=(*known.nodes, _nodes(*node)))
    return [one for one in found.values() if limits.get(one.name, {}).get("RootOnly") != "YES"]


def _fields(line: str) -> dict[str, str]:
    return dict(re.findall(r"(\S+?)=(\S*)", line))


def _bare(bare: str, name: str, state: str, time: str, limits: dict[str, str], top: int) -> Partition:
    tier = limits.get("PriorityTier", "")
    accounts = limits.get("AllowAccounts", "ALL")
    return Partition(
        bare,
        (),
        minutes_of(time),
        is_default=name.endswith("*"),
        is_up=state == "up",
        is_preempted=limits.get("PreemptMode", "OFF") != "OFF" and tier.isdigit() and int(tier) < top,
        most_nodes=_limit(limits.get("MaxNodes")),
        most_cpus=_limit(limits.get("MaxCPUsPerNode")),
        most_memory=_limit(limits.get("MaxMemPerNode")),
        accounts=frozenset() if accounts in ("ALL", "") else frozenset(accounts.split(",")),
    )


def _nodes(count: str, cpus: str, memory: str, gres: str, features: str) -> Nodes:
    found = GPUS.findall(gres)
    return Nodes(
        _number(count),
        _number(cpus),
        _number(memory),
        sum(int(number) for _, number in found),
        frozenset(model for model, _ in found if model),
        frozenset() if features == "(null)" else frozenset(features.split(",")),
    )


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found.group()) if found else 0


def _limit(text: str | None) -> float:
    return int(text) if text and text.isdigit() and int(text) else inf


def minutes_of(text: str) -> float:
    """Minutes of a time as Slurm writes it: `infinite`, `30:00`, `12:00:00`, `2-00:00:00`."""
    days, _, clock = text.rpartition("-")
    try:
        parts = [int(part) for part in clock.split(":")]
    except ValueError:
        return inf
    if days:
        parts = [*parts, 0, 0][:3]
    elif len(parts) == 1:
        parts = [*parts, 0]
    hours, minutes, seconds = [0, *parts][-3:]
    return 1440 * int(days or 0) + 60 * hours + minutes + seconds / 60


def in_words(minutes: float) -> str:
    """A time for people: `no time limit`, `90 min`, `12 h`, `2 days`."""
    if minutes == inf:
        return "no time limit"
    if minutes >= 2880:
        return f"{minutes / 1440:.3g} days"
    return f"{minutes / 60:.3g} h" if minutes > 90 else f"{minutes:.0f} min"


@dataclass(frozen=True)
class Wanted:
    """Jobs of a rule that ask for the same. example: what one of them is for."""

    rule: str
    count: int
    example: str
    asked: Asked


def refusal(partitions: Sequence[Partition], wanted: Iterable[Wanted]) -> str:
    """One message on all jobs that no partition can take; empty where each can be taken."""
    lines = []
    for one in wanted:
        if choose(partitions, one.asked) is None:
            such = f" such as {one.example}" if one.example else ""
            lines.append(f"  {one.rule}: {number_of(one.count, 'job')}{such}: {one.asked}")
            lines += [f"    {reason}" for reason in lacking(partitions, one.asked)]
    if not lines:
        return ""
    return "\n".join(
        [
            "No partition of this cluster can take these jobs; nothing was submitted.",
            *lines,
            "The partitions:",
            *(f"  {partition}" for partition in partitions),
            "What a rule asks for is set by `set-resources:` and `set-threads:` of the profile (RULE: mem_mb: ...); "
            "docs/slurm.md.",
        ]
    )


def lacking(partitions: Sequence[Partition], asked: Asked) -> list[str]:
    """What no partition has of what a job asks for, each with the most that there is."""
    if asked.partition and asked.partition not in {one.name for one in partitions}:
        return [f"there is no partition {asked.partition}"]
    here = [one for one in partitions if asked.partition in ("", one.name)]
    free = Asked(cpus=0, partition=asked.partition)
    found = []
    trials: list[tuple[str, Asked, Callable[[Partition], float]]] = [
        ("memory", replace(free, memory=asked.memory), lambda one: _most(one, "memory", one.most_memory)),
        ("CPUs", replace(free, cpus=asked.cpus), lambda one: _most(one, "cpus", one.most_cpus)),
        ("GPUs of a node", replace(free, gpus=asked.gpus_of_a_node), lambda one: _most(one, "gpus", one.most_gpus)),
        ("nodes", replace(free, nodes=asked.nodes), lambda one: min(sum(k.count for k in one.nodes), one.most_nodes)),
    ]
    for what, trial, most in trials:
        if not any(one.able(trial) for one in here):
            best = max(here, key=most, default=None)
            found.append(
                f"{what}: at most {most(best):.0f}, in {best.name}" if best else f"{what}: there is no partition"
            )
    if asked.model and asked.gpus:
        models = sorted({model for one in here for kind in one.nodes for model in kind.models})
        if asked.model.lower() not in map(str.lower, models):
            found.append(f"GPUs {asked.model}: there are {', '.join(models) or 'none with a name'}")
    if missing := asked.features - {name for one in here for kind in one.nodes for name in kind.features}:
        found.append(f"constraint {', '.join(sorted(missing))}: no node has it")
    return found or ["each of these is there, but not together in one partition that is up"]


def _most(one: Partition, what: str, limit: float) -> float:
    return min(max((getattr(kind, what) for kind in one.nodes), default=0), limit)
