# What a training job asks for, and how it asks for nodes.


def training_asks(wildcards, attempt):
    """Memory and time of a job that makes runs, by the plan and by what like runs took."""
    return ASKED.making(ASK.trained_runs(wildcards.job), attempt)


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
