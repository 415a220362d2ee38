"""The device that computes, and what is said where it is not there."""

import logging

import pytest
import torch

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.machine import device_of
from neuroscaling.training import setup
from neuroscaling.training.setup import chosen_device


def test_devices_by_name():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(StudyError, match=r"(?s)unknown device.*cudaa.*nearest: +cuda"):
        device_of("cudaa")
    with pytest.raises(DataError, match=r"(?s)no such GPU.*cuda:4096"):
        device_of("cuda:4096")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_job_whose_gpu_is_not_found_says_that_it_trains_on_the_cpu(monkeypatch, caplog):
    for key in ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(key, raising=False)
    setup._warn_of_cpu.cache_clear()  # it is said once a process
    assert chosen_device(None).type == "cpu" and caplog.text == ""
    monkeypatch.setenv("SLURM_JOB_GPUS", "3")
    with caplog.at_level(logging.WARNING):
        assert chosen_device("cpu").type == "cpu" and caplog.text == ""
        assert chosen_device(None).type == "cpu"
    assert "finds no GPU, though the job's environment says SLURM_JOB_GPUS=3" in caplog.text
