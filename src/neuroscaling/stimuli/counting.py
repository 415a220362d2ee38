"""How many images a stimulus set has, before it is prepared."""

from neuroscaling.brainscore.targets import StimulusSet
from neuroscaling.config import SimulatedBrain
from neuroscaling.errors import DataError
from neuroscaling.stimuli.manifest import read_manifest
from neuroscaling.stimuli.sources import find_stimuli
from neuroscaling.study import LoadedStudy


def count_stimuli(study: LoadedStudy, stimuli: StimulusSet) -> int | None:
    """Images of a stimulus set: of the prepared set, of its source, or by the settings of a simulated brain.

    None for a set whose files are not there yet.
    """
    try:
        return len(read_manifest(study.store.find(study.store.stimuli(stimuli.name)))["stimuli"])
    except DataError:
        pass
    brains = {study.simulated_name(name): brain for name, brain in study.config.simulated.items()}
    brain = next((brains[path.parent.name] for path in stimuli.needs if path.parent.name in brains), None)
    if brain:
        alone = all(source["kind"] == "algonauts2023" for source in stimuli.sources)
        return brain.algonauts_train + brain.algonauts_test if alone else simulated_stimuli(brain)
    try:
        return len({s.stimulus_id for source in stimuli.sources for s in find_stimuli(source)})
    except (DataError, OSError):
        return None


def simulated_stimuli(brain: SimulatedBrain) -> int:
    """Images of a simulated brain: objects, textures with their scrambled twins, behaviour, fMRI."""
    textures, choices = 2 * (brain.stimuli // 2), brain.stimuli // 2
    return brain.stimuli + textures + choices + brain.algonauts_train + brain.algonauts_test
