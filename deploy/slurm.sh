#!/bin/bash
# Workers on Slurm: one on each of four nodes, for a scheduler that runs on a login node.
#
#   bakehouse cluster certificates ~/bakehouse-certificates
#   export PIPELINE_CLUSTER_CERTIFICATES=~/bakehouse-certificates PIPELINE_REMOTE=file:///scratch/bakehouse
#   bakehouse cluster scheduler --host "$(hostname -f)" &
#   PIPELINE_CLUSTER="tls://$(hostname -f):8786" sbatch deploy/slurm.sh
#   bakehouse build phi3 --cluster "tls://$(hostname -f):8786"
#
# sbatch hands on the environment, and with it the address, the certificates' folder and the shared store.
#SBATCH --job-name=bakehouse
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@60
set -euo pipefail

: "${PIPELINE_CLUSTER:?the address of the scheduler}" "${PIPELINE_REMOTE:?the shared store}"
: "${PIPELINE_CLUSTER_CERTIFICATES:?the folder of the certificates}"
# each node has a cache of its own, on its own disk
export PIPELINE_ARTIFACTS="${TMPDIR:-/tmp}/bakehouse-$SLURM_JOB_ID"

# The workers run in the background, so that the shell hears Slurm's signal and can hand it on.
srun bakehouse worker &
workers=$!
trap 'kill -TERM "$workers"' TERM
wait "$workers"
