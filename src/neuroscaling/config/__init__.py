"""The study file as pydantic models: the one definition of every key.

config/README.md and config/schema.json are generated from here (`neuroscaling schema`). Light: imports no torch.
"""

from neuroscaling.config.activations import Extraction, Layers, Reduction
from neuroscaling.config.base import Section
from neuroscaling.config.brainscore import BrainScore, DefinedBenchmark, LayerChoice
from neuroscaling.config.data import (
    BrainScoreData,
    Data,
    DownloadedData,
    LocalData,
    SimulatedBrain,
    SimulatedData,
    V4Data,
)
from neuroscaling.config.datasets import (
    Dataset,
    DigitsDataset,
    FileListDataset,
    ImageFolderDataset,
    INaturalistDataset,
    InfiniteDigitsDataset,
    Places365Dataset,
    WebDataset,
)
from neuroscaling.config.encoding import (
    AlgonautsEncoding,
    Encoding,
    FmriEncoding,
    NsdEncoding,
    Ridge,
    Submission,
    V4Encoding,
)
from neuroscaling.config.runs import (
    BaselineRuns,
    PretrainedRuns,
    Runs,
    TrainedRuns,
    UntrainedRuns,
)
from neuroscaling.config.study import Published, Study
from neuroscaling.config.training import DatasetPack, Training

__all__ = [
    "AlgonautsEncoding",
    "BaselineRuns",
    "BrainScore",
    "BrainScoreData",
    "Data",
    "Dataset",
    "DatasetPack",
    "DefinedBenchmark",
    "DigitsDataset",
    "DownloadedData",
    "Encoding",
    "Extraction",
    "FileListDataset",
    "FmriEncoding",
    "INaturalistDataset",
    "ImageFolderDataset",
    "InfiniteDigitsDataset",
    "LayerChoice",
    "Layers",
    "LocalData",
    "NsdEncoding",
    "Places365Dataset",
    "PretrainedRuns",
    "Published",
    "Reduction",
    "Ridge",
    "Runs",
    "Section",
    "SimulatedBrain",
    "SimulatedData",
    "Study",
    "Submission",
    "TrainedRuns",
    "Training",
    "UntrainedRuns",
    "V4Data",
    "V4Encoding",
    "WebDataset",
]
