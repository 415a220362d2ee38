"""The settings that a site may change: what profiles/slurm has as comments works when the comments are taken off."""

import re

import pytest
import yaml
from snakemake.cli import parse_args

from .lab import ROOT

PROFILES = ROOT / "profiles"


def settings(name):
    return yaml.safe_load((PROFILES / name / "config.yaml").read_text())


def commented_block(key):
    """A block of profiles/slurm that is commented out, as a setting."""
    text = (PROFILES / "slurm/config.yaml").read_text()
    lines = re.search(rf"^# {key}:\n(#  .*\n)+", text, re.M).group().splitlines()
    return yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))


@pytest.mark.parametrize("name", ["default", "local", "slurm", "generic"])
def test_snakemake_knows_all_entries(name):
    _, arguments = parse_args(["--profile", str(PROFILES / name), "--workflow-profile", "none"])
    for key, value in settings(name).items():
        found = getattr(arguments, key.replace("-", "_"), None)
        assert found is not None or value is False, key


@pytest.mark.parametrize("name", ["local", "slurm", "generic"])
def test_profiles_agree_with_the_default_one(name):
    """Snakemake lets the default profile win over `--profile`; `--workflow-profile` puts another in its place."""
    default, other = settings("default"), settings(name)
    assert default == {key: other.get(key) for key in default}


@pytest.mark.slurm
@pytest.mark.slow
def test_the_commented_settings_for_gpus_of_a_site_work(start, tmp_path):
    # Of all that a job's command line holds, the folder alone is of the user's making.
    folder = tmp_path / "My Drive - lab $(touch pwned) `touch pwned` & ü; x"
    site = folder / "site"
    site.mkdir(parents=True)
    (site / "config.yaml").write_text(yaml.safe_dump(commented_block("set-resources") | commented_block("set-threads")))
    (folder / "release").touch()
    targets = ["net.train", "net.activations", "net_untrained_s0.train", "net_untrained_s0.activations"]
    driver = start(folder, *targets, "--profile", str(site))
    driver.finish()
    jobs = {(job.rule, "untrained" in job.wildcards): job for job in driver.jobs()}
    train, activations = jobs["train", False], jobs["activations", False]
    assert (train.node, train.gpus, train.cpus, train.memory) == ("gpu2", 1, 4, "16000M"), "the node with `nvlink`"
    assert (activations.partition, activations.gpus, activations.cpus) == ("gpu", 1, 4)
    untrained = [job for (_, is_untrained), job in jobs.items() if is_untrained]
    assert [(job.partition, job.gpus) for job in untrained] == [("cpu", 0), ("cpu", 0)]
    assert len((folder / "net.notes").read_text().split()) == 4, "both saw their GPU in CUDA_VISIBLE_DEVICES"
    assert not list(tmp_path.rglob("pwned"))
