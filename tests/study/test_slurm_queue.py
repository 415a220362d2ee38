"""What a captured squeue says: whose jobs there are in a folder, and why they wait."""

import shutil
from pathlib import Path

import pytest

from neuroscaling.study import slurm_queue
from neuroscaling.study.slurm_queue import BETWEEN, Job, earlier_jobs, reason_in_words, waits_for_ever

NAME = "neuroscaling_0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def queue(monkeypatch, tmp_path):
    """A function that sets the lines that squeue prints."""
    monkeypatch.setattr(shutil, "which", lambda command: f"/usr/bin/{command}")

    def says(*lines: tuple[str, ...]) -> None:
        monkeypatch.setattr(slurm_queue, "_queue", lambda tries: "".join(BETWEEN.join(line) + "\n" for line in lines))

    return says


def test_the_jobs_of_a_folder_have_their_state_their_reason_and_their_nodes(queue, tmp_path: Path):
    here, rule = str(tmp_path), "rule_train_wildcards_vit-0a1b2c3d"
    queue(
        ("7", "RUNNING", NAME, here, rule, "None", "gpu[1-2]", "2026-11-29T10:00:00"),
        ("8", "PENDING", NAME, here, "rule_table", "Resources", "", "N/A"),
        ("9", "PENDING", NAME, str(tmp_path / "other"), rule, "Priority", "", "N/A"),
        ("10", "PENDING", "driver", here, "", "Priority", "", "N/A"),
    )
    running, waiting = earlier_jobs(tmp_path)
    assert running == Job("7", "RUNNING", "train vit-0a1b2c3d", "None", "gpu[1-2]", "2026-11-29T10:00:00")
    assert (waiting.what, waiting.reason, waiting.waits, running.waits) == ("table", "Resources", True, False)


def test_reasons_are_told_in_words_with_slurms_own():
    assert reason_in_words("Resources") == "for free nodes, CPUs, memory or GPUs (Resources)"
    assert reason_in_words("QOSMaxGRESPerUser") == "the quality of service allows no more (QOSMaxGRESPerUser)"
    assert reason_in_words("AssocGrpCpuLimit").startswith("all who share the account")
    assert reason_in_words("(ReqNodeNotAvail, UnavailableNodes:gpu1)").startswith("its nodes are down or reserved")
    assert reason_in_words("Nodes required for job are DOWN, DRAINED").startswith("its nodes are down")
    assert reason_in_words("Prolog") == "Prolog"
    assert [waits_for_ever(reason) for reason in ("PartitionTimeLimit", "JobHeldUser", "Priority")] == [
        True,
        True,
        False,
    ]
