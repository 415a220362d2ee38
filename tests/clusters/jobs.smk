# Small jobs for trials of profiles/generic. They ask for GPUs, memory and time as the rules of the workflow do.


rule made:
    output:
        "{job}.made",
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 90 * attempt,
    threads: 2
    shell:
        "echo {resources.mem_mb} >>{wildcards.job}.tries;"
        ' timeout 60 sh -c "until [ -e {wildcards.job}.release ]; do sleep 0.2; done"; touch {output}'
