"""Why Kezek differs from sbatch where it does. A difference that no line here explains is a fault.

A rule is: what differs (a pattern over the whole of "WHAT", as compare.py names it), in which
cases (a pattern; None: any), and the sentence for the page. What is in BY_CHANCE depends on what
else runs: the page says so once, whatever this run saw.
"""

SPREAD = ("Kezek gives every node the same number of tasks, CPUs and GPUs; sbatch fills one node "
          "before the next")
SPREAD_OVER = ("CUDA_VISIBLE_DEVICES", "SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE",
               "SLURM_JOB_CPUS_PER_NODE", "SLURM_JOB_GPUS", "SLURM_TASKS_PER_NODE")
LIMIT = ("Kezek, too, ends a job at its limit, so Slurm's last words in the output may be without "
         "the reason")
CPUS = ("without a word about CPUs a job gets the part of the node's CPUs that its GPUs are of the "
        "node's; sbatch gives one a task")

RULES = (
    (r".*: `KEZEK_(ATTEMPT|BEGUN|CLUSTER|JOB_ID|OUTPUT_DIR|PREEMPTED|PROJECT)`", None,
     "Kezek's own variables"),
    (r".*: `MASTER_(ADDR|PORT)`", None,
     "`MASTER_ADDR` and `MASTER_PORT` are set: where the ranks of a job meet"),
    (r"file out: lines", r"torchrun-one-node",
     "what stands in for torchrun says whether `MASTER_ADDR` is set"),
    (r".*: `SLURM_OPEN_MODE`", None,
     "Kezek always tells Slurm how to open the output: a second attempt appends"),
    (r".*: `SLURM_MEM_PER_(CPU|NODE|GPU)`", None,
     "Kezek asks Slurm for memory by the node: what was asked for by CPU or GPU is worked out, and "
     "without a word it is the part of the node's memory that the GPUs are of the node's"),
    (r".*: limit max memory size", None,
     "follows the memory, which Slurm sets as this limit"),
    (r".*: `SLURM_(CPUS_ON_NODE|JOB_CPUS_PER_NODE|JOB_CPUS_PER_NODE_PACK_GROUP_0)`",
     r"gpus-in-all|gpus-per-task|gres-typed", CPUS),
    (rf".*: `({'|'.join(SPREAD_OVER)})`", r"gpus-uneven", SPREAD),
    (r".*: `SLURM_TASKS_PER_NODE`", r"exclusive|cpus-per-gpu",
     "without a number of tasks Kezek's job is one task a node that has all its CPUs; sbatch's is "
     "as many tasks as CPUs, of which srun starts one a node all the same"),
    (r".*: `SLURM_ARRAY_JOB_ID`", r"array.*",
     "`SLURM_ARRAY_JOB_ID` and `%A` are the array's number in Kezek, which `kezek` takes: what a "
     "script tells `scontrol`, `scancel` or `squeue` is `$SLURM_JOB_ID`"),
    (r"file out-j#.*", r"array-by-job",
     "`%j` of an array's element is `48211_7`, its number in Kezek; with sbatch it is the number "
     "of a Slurm job of its own"),
    (r"file slurm-#(_\d+)?\.out: mode|.*: file descriptor [12]",
     r"output-default|plain|array-default-output",
     "without `--output` Kezek keeps the output in a folder of its own: `kezek logs`"),
    (r"file out-N.*|.*: file descriptor [12]", r"node-named",
     "`%N` is the node's name; sbatch writes the host's, and here all nodes are on one host"),
    (r"ends of the jobs", r"cancelled|cancels-itself",
     "a cancelled job keeps the exit code its script ended with"),
    (r"exit status of submitting", r"dos-line-breaks|no-interpreter",
     "what is wrong with a script or an option ends `kezek submit` with 2, `sbatch` with 1"),
    (r"file out: lines", r"reads-its-own-job",
     "Slurm's own tools show a job's number and attempt for a name, Kezek's mark for a comment, "
     "and that it may be requeued unless it has `--no-requeue`"),
    (r"file out: lines", r"time-limit", LIMIT),
    (r"file out: lines", r"stdin-script",
     "the name of a script from standard input is `stdin`; sbatch gives none"),
    (r"file out: lines", r"requeue-itself",
     "a second attempt is another Slurm job: it has no `SLURM_RESTART_COUNT` but a "
     "`KEZEK_ATTEMPT`, and its output is appended to the first's"),
)

BY_CHANCE = {SPREAD: ("gpus-uneven", SPREAD_OVER),
             LIMIT: ("time-limit", ("DUE TO TIME LIMIT",))}
