#!/usr/bin/env bash
# `bench run` on all nodes of a Slurm allocation, by a Ray cluster that lives as long as the job:
#   sbatch --nodes 4 --cpus-per-task 16 slurm.sh iteration_4 --seeds 1000 --until-decided --time-budget 8h
# Arguments are those of `bench run`. `bench` and `ray` must be on the path of each node.
#SBATCH --job-name=drilldown
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@120
set -euo pipefail

port=${RAY_PORT:-$((20000 + SLURM_JOB_ID % 12000))} # of this job: a node may have others
cores=${SLURM_CPUS_PER_TASK:-1}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address)
head=${head%% *}
export RAY_USAGE_STATS_ENABLED=0

count_nodes() {
  ray status --address "$head:$port" 2>/dev/null |
    awk '/^Active:/ {on = 1} /^Pending:/ {on = 0} on && $1 ~ /^[0-9]+$/ {n += $1} END {print n + 0}'
}

# --block keeps Ray in the step, so that it ends with the job
srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --overlap --cpus-per-task="$cores" \
  ray start --head --block --node-ip-address="$head" --port="$port" --num-cpus="$cores" &
first=$!
for node in "${nodes[@]:1}"; do
  srun --nodes=1 --ntasks=1 --nodelist="$node" --overlap --cpus-per-task="$cores" \
    bash -c "until ray start --block --address=$head:$port --num-cpus=$cores; do sleep 2; done" &
done
until ray health-check --address "$head:$port" 2>/dev/null; do
  kill -0 "$first" 2>/dev/null || {
    echo "slurm.sh: Ray did not start on ${nodes[0]}; is port $port taken? set RAY_PORT" >&2
    exit 1
  }
  sleep 2
done
# what the first nodes would train with is chosen for all: wait for the others, two minutes at most
for _ in {1..24}; do
  [ "$(count_nodes)" -lt "${#nodes[@]}" ] || break
  sleep 5
done

# the shell of the job runs on the first node; SIGTERM goes on to the command, which records
bench run --cluster "$head:$port" "$@" &
command=$!
trap 'kill -TERM "$command"' TERM
code=0
wait "$command" || code=$?
# a trap ends the first wait: the command may still be writing
while kill -0 "$command" 2>/dev/null; do wait "$command" || code=$?; done
mapfile -t steps < <(jobs -p)
[ "${#steps[@]}" -eq 0 ] || kill "${steps[@]}" 2>/dev/null || true
exit "$code"
