# What a training job asks for, and how it asks for nodes.


def training_asks(wildcards, attempt):
    """Memory and time of a job that makes runs, by the plan and by what like runs took."""
    pairs = ASK.extracted_after_training(wildcards.job)
    return ASKED.making(ASK.trained_runs(wildcards.job), attempt, pairs)


def trained_title(wildcards):
    """What a training job makes, for its message."""
    also = ASK.extracted_after_training(wildcards.job)
    return GROUPS.to_train[wildcards.job].title + (", with activations" if also else "")


def training_gpus(wildcards):
    """GPUs of a training job; an extraction that follows takes one, where any of the runs needs it."""
    runs, pairs = ASK.trained_runs(wildcards.job), ASK.extracted_after_training(
        wildcards.job
    )
    return max(
        training_time.job_gpus(STUDY, runs), int(bool(pairs) and needs_gpu(runs))
    )


def pack_asks(wildcards, attempt):
    """Memory and time of a job that packs a split of a data set."""
    return ASKED.pack(dataset_name(wildcards.dataset)).at(attempt)


def training_nodes(wildcards):
    """Nodes of a training job."""
    return training_time.job_nodes(STUDY, ASK.trained_runs(wildcards.job))


def training_mpi(wildcards):
    """`srun` where a job has several nodes: the plugin runs any other in a step on one node."""
    return "srun" if training_nodes(wildcards) > 1 else ""


# What lets a job start a process on each of its nodes.
STEPS_OF_NODES = (
    {"mpi": training_mpi, "tasks": training_nodes, "tasks_per_gpu": 0}
    if TRAINING.nodes > 1
    else {}
)
