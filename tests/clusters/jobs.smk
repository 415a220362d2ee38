# A job for trials of profiles/generic, which waits. It asks for GPUs, memory and time as the rules of the workflow do.


rule made:
    output:
        "{job}.made",
    threads: 2
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 90 * attempt,
    shell:
        "echo {resources.mem_mb} >>{wildcards.job}.tries; sleep 3600; touch {output}"
