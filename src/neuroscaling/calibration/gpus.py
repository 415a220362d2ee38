"""What training reaches on a GPU that nobody measured: a stated share of its peak. Light at import."""

from dataclasses import dataclass

from neuroscaling.errors import Problem, StudyError, nearest


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU; peak: FLOP/s of dense matrix products in half precision, which utilisation is a share of."""

    title: str
    peak: float


@dataclass(frozen=True)
class Interval:
    """An estimate with its ends; low and high in size, whatever is better."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> "Interval":
        """All three numbers times `factor`."""
        return Interval(self.low * factor, self.expected * factor, self.high * factor)

    def plus(self, other: "Interval") -> "Interval":
        """Sum of two estimates whose errors go together."""
        return Interval(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def inverse(self) -> "Interval":
        """Seconds an image from images a second, and back."""
        return Interval(1 / self.high, 1 / self.expected, 1 / self.low)

    def at_least(self, other: "Interval") -> "Interval":
        """The larger one of each of the numbers."""
        return Interval(max(self.low, other.low), max(self.expected, other.expected), max(self.high, other.high))

    def at_most(self, other: "Interval") -> "Interval":
        """The smaller one of each of the numbers."""
        return Interval(min(self.low, other.low), min(self.expected, other.expected), min(self.high, other.high))


# Makers' data sheets, without sparsity.
GPUS = {
    "rtx3090": Gpu("NVIDIA RTX 3090", 142e12),
    "a100": Gpu("NVIDIA A100", 312e12),
    "h100": Gpu("NVIDIA H100", 989e12),
    "h200": Gpu("NVIDIA H200", 989e12),
}
DEFAULT = "a100"
# Shares of the peak that training reaches in half precision. Convolutions with batch normalisation: published figures
# of ResNet-50 on A100 and H100 lie at 14 to 20 %, timm's on an RTX 3090 at 15 to 27 %; transformers at 20 to 50 %;
# depthwise convolutions wait for memory: EfficientNet-B0 reaches 3 %.
UTILISATION = {
    "convolutions": Interval(0.10, 0.17, 0.30),
    "tokens": Interval(0.20, 0.35, 0.50),
    "depthwise": Interval(0.015, 0.03, 0.06),
}
TOKENS = ("ViT", "ViTFlex", "DeiT", "Swin")
DEPTHWISE = ("EfficientNet", "MobileNet", "MobileNetV3", "MobileViT", "FastViT", "GhostNet", "MnasNet")
# Images of 224 x 224 pixels a second that the smallest networks reach: their steps wait for kernels to be launched.
# Evaluation launches fewer.
CEILING = Interval(7_000, 14_000, 20_000)
CEILING_SIZE = 224
FORWARD_SHARE = 3
"""A training step is worth three forward passes."""


def gpu(name: str) -> Gpu:
    """The GPU of this name. Raises StudyError with the nearest name where there is none."""
    if name not in GPUS:
        raise StudyError(Problem("unknown GPU", value=name, allowed=", ".join(GPUS), nearest=nearest(name, GPUS)))
    return GPUS[name]


def kind_of_family(family: str) -> str:
    """Which utilisation a family of networks has: `tokens`, `depthwise` or `convolutions`."""
    return "tokens" if family in TOKENS else "depthwise" if family in DEPTHWISE else "convolutions"


def stated_rates(name: str, family: str, macs: int, size: int) -> tuple[Interval, Interval]:
    """Images a second in training and in evaluation, of a network of `macs` at `size` pixels, on the GPU `name`."""
    step = 2 * FORWARD_SHARE * max(macs, 1)
    computed = UTILISATION[kind_of_family(family)].times(gpu(name).peak / step)
    ceiling = CEILING.times((CEILING_SIZE / size) ** 2)
    return computed.at_most(ceiling), computed.times(FORWARD_SHARE).at_most(ceiling.times(2))


def widened(rate: float, factor: float) -> Interval:
    """An interval of a measured or scaled rate, `factor` to both sides."""
    return Interval(rate / factor, rate, rate * factor)
