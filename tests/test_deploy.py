"""The files of deploy/: their commands are ours, and their shell is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from bakehouse.app.commands import cluster, worker
from bakehouse.cluster import connection
from tests.support.bench import ROOT

DEPLOY = ROOT / "deploy"


def containers() -> dict[str, dict[str, Any]]:
    """The one container of the scheduler and that of the workers."""
    spec = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))["spec"]
    return {part: spec[part]["spec"]["containers"][0] for part in ("scheduler", "worker")}


def test_the_manifest_for_kubernetes_starts_commands_that_exist() -> None:
    found = containers()
    assert found["scheduler"]["args"][0] == "cluster"
    given = cluster.parser().parse_args(found["scheduler"]["args"][1:])
    assert (given.action, given.host, given.port) == ("scheduler", "0.0.0.0", 8786)
    assert found["worker"]["args"][0] == "worker"
    address = worker.parser().parse_args(found["worker"]["args"][1:]).scheduler
    assert connection.address(address) == "tls://bakehouse-scheduler:8786"


def test_its_workers_have_the_variables_that_a_worker_reads() -> None:
    named = {one["name"] for one in containers()["worker"]["env"]}
    assert named == {"PIPELINE_CLUSTER_CERTIFICATES", "PIPELINE_REMOTE", "PIPELINE_ARTIFACTS"}


def test_the_script_for_slurm_has_no_fault_that_shellcheck_knows() -> None:
    done = subprocess.run([Path(sys.executable).with_name("shellcheck"), DEPLOY / "slurm.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
