"""The manifests are of Kubernetes' own schemas, and name what there is."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.folder import DEPLOY, FOREIGN, OF_A_TEAM
from warehouse.settings import REPOSITORY

FOLDER = DEPLOY / "kubernetes"
VERSION = "1.33"
BASE = FOLDER / "base"


def _documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        if (path := folder / name).is_file():
            for document in yaml.safe_load_all(path.read_text()):
                yield f"{folder.name}/{name}: {document['kind']} {document['metadata']['name']}", document


MANIFESTS = dict([*_documents(BASE), *_documents(FOLDER / "overlays" / "team")])
SETS = {document["metadata"]["name"]: document for document in MANIFESTS.values() if document["kind"] == "StatefulSet"}
CONTAINERS = {
    f"{name} {container['name']}": container
    for name, document in SETS.items()
    for container in document["spec"]["template"]["spec"]["containers"]
}
# kinds of the cluster's operators, whose schemas Kubernetes does not have
OF_OPERATORS = {"ServiceMonitor"}


def of_kind(kind: str, name: str = "loanlake-api") -> dict[str, Any]:
    [found] = [each for each in MANIFESTS.values() if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


@cache
def rendered(overlay: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH: its kustomize renders the overlays")
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("name", [name for name, each in MANIFESTS.items() if each["kind"] not in OF_OPERATORS])
def test_a_manifest_is_of_kubernetes_schema(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], VERSION, strict=True)


def test_a_wrong_field_is_found() -> None:
    """Else the test above could not fail."""
    wrong = of_kind("Service") | {"spec": of_kind("Service")["spec"] | {"selektor": {}}}

    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("overlay", ["trial", "team"])
def test_an_overlay_renders_to_valid_manifests(overlay: str) -> None:
    for document in rendered(overlay):
        if document["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(document, VERSION, strict=True)

    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in rendered(overlay)} == {"loanlake"}


def test_every_file_of_the_base_is_used() -> None:
    used = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    assert {path.name for path in BASE.glob("*.yaml")} == {*used, "kustomization.yaml"}


def test_all_that_runs_is_the_api_and_the_worker() -> None:
    """With a kind of workload that is not a StatefulSet, the tests below would not see its pods."""
    assert list(SETS) == ["loanlake-api", "loanlake-worker"]
    assert {"Deployment", "DaemonSet", "Job", "CronJob", "Pod"} & {each["kind"] for each in rendered("team")} == set()
    assert SETS["loanlake-worker"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("name", SETS)
def test_a_pod_has_a_home_that_is_its_own_and_outlives_it(name: str) -> None:
    spec = SETS[name]["spec"]
    [claim] = spec["volumeClaimTemplates"]
    homes = {
        mount["name"]
        for container in spec["template"]["spec"]["containers"]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/var/lib/loanlake"
    }

    assert homes == {claim["metadata"]["name"]}
    assert {tuple(volume) for volume in spec["template"]["spec"]["volumes"]} == {("name", "emptyDir")}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Retain"}
    # a second pod on another machine could not even mount it
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod" if name == "loanlake-api" else "ReadWriteOnce"]


def test_the_team_has_no_volume_that_pods_could_share() -> None:
    assert [each for each in rendered("team") if each["kind"] == "PersistentVolumeClaim"] == []


def test_api_pods_are_spread_over_machines_and_zones() -> None:
    pod = of_kind("StatefulSet")["spec"]["template"]["spec"]
    rules = {rule["topologyKey"]: rule for rule in pod["topologySpreadConstraints"]}
    labels = of_kind("StatefulSet")["spec"]["template"]["metadata"]["labels"]

    assert rules["kubernetes.io/hostname"]["whenUnsatisfiable"] == "DoNotSchedule"
    assert rules["topology.kubernetes.io/zone"]["whenUnsatisfiable"] == "ScheduleAnyway"
    for rule in rules.values():
        assert (rule["maxSkew"], rule["labelSelector"]["matchLabels"]) == (1, labels)
        # else a machine that is lost, and has no pod, would keep the others from getting a second one
        assert rule["nodeTaintsPolicy"] == "Honor"
    assert "affinity" not in pod


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_machine_is_named_by_its_pod(name: str) -> None:
    [variable] = CONTAINERS[name]["env"]

    assert variable == {"name": "LOANLAKE_MACHINE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def test_the_trial_is_one_machine_with_one_home_and_backups() -> None:
    sets = {each["metadata"]["name"]: each["spec"] for each in rendered("trial") if each["kind"] == "StatefulSet"}
    pod = sets["loanlake-api"]["template"]["spec"]
    [rule] = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [home] = [volume for volume in pod["volumes"] if volume["name"] == "home"]
    [settings] = [each["data"] for each in rendered("trial") if each["kind"] == "ConfigMap"]
    worker = sets["loanlake-worker"]["template"]

    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"].items() <= worker["metadata"]["labels"].items()
    assert home["persistentVolumeClaim"] == {"claimName": "home-loanlake-worker-0"}
    assert "volumeClaimTemplates" not in sets["loanlake-api"]
    assert settings["LOANLAKE_BACKUP_TARGET"] in {
        mount["mountPath"] for mount in worker["spec"]["containers"][0]["volumeMounts"]
    }


def test_the_autoscaler_keeps_three_pods_and_a_drain_takes_one() -> None:
    scaler = of_kind("HorizontalPodAutoscaler")["spec"]

    assert "replicas" not in of_kind("StatefulSet")["spec"]  # the autoscaler's
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]) == ("StatefulSet", "loanlake-api")
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


KUBECTL = """#!/bin/sh
# a cluster of three API pods that are ready as soon as they exist; pod $BROKEN never is
shift 2
case "$*" in
"get statefulset "*) printf 3 ;;
"get hpa "*minReplicas*) printf 3 ;;
"get hpa "*maxReplicas*) printf 10 ;;
"patch hpa "*) echo "bounds $(echo "$*" | tr -dc '0-9 ' | xargs)" >> "$CALLS" ;;
"delete pod "*) echo "delete $3" >> "$CALLS" ;;
"wait pod/$BROKEN --for=condition=Ready "*) exit 1 ;;
"wait pod/"*"--for=condition=Ready "*) echo "ready ${2#pod/}" >> "$CALLS" ;;
esac
"""


def _rolled_out(tmp_path: Path, broken: str) -> tuple[int, list[str]]:
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "BROKEN": broken}
    done = subprocess.run([str(FOLDER / "rollout")], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, calls.read_text().replace("loanlake-api-", "").splitlines()


def test_a_rollout_never_has_fewer_ready_pods(tmp_path: Path) -> None:
    """One is added, and is ready, before another is stopped; each successor is ready before the next is."""
    code, calls = _rolled_out(tmp_path, broken="none")

    assert code == 0
    assert calls == [
        *("bounds 4 4", "ready 3", "ready 2", "ready 1", "ready 0"),
        *("delete 2", "ready 2", "delete 1", "ready 1", "delete 0", "ready 0", "bounds 3 10"),
    ]
    # nothing but that stops a pod to replace it
    assert of_kind("StatefulSet")["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_a_rollout_ends_at_the_first_pod_that_does_not_become_ready(tmp_path: Path) -> None:
    code, calls = _rolled_out(tmp_path, broken="loanlake-api-3")

    assert code == 1
    assert calls == ["bounds 4 4", "bounds 3 10"]


def test_probes_ask_for_paths_that_there_are(api_paths: set[str]) -> None:
    [container] = of_kind("StatefulSet")["spec"]["template"]["spec"]["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    [endpoint] = of_kind("ServiceMonitor")["spec"]["endpoints"]

    # a pod that cannot score gets no requests, and is not restarted for it
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert {*probes.values(), endpoint["path"]} <= api_paths


@pytest.mark.parametrize("name", SETS)
def test_a_pod_has_no_rights(name: str) -> None:
    pod = SETS[name]["spec"]["template"]["spec"]
    *_, user = re.findall(r"USER (\d+)", (DEPLOY / "image/Dockerfile").read_text())

    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, int(user))
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostPID", "hostNetwork", "hostIPC"} & set(pod)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_rights_a_limit_and_probes(name: str) -> None:
    container = CONTAINERS[name]

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_starts_a_program_that_there_is(name: str, commands: set[str]) -> None:
    container = CONTAINERS[name]
    program, word, *_ = container["args"]

    assert (program == "loanlake" and word in commands) or (
        program == "loanlake-service" and word in {"webserver", "daemon", "mlflow"}
    )
    assert container["image"] == ("loanlake-api" if program == "loanlake" else "loanlake-worker")


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_cannot_start_without_the_servers(name: str) -> None:
    """Without the Secret, a pod would quietly make an embedded lake."""
    assert CONTAINERS[name]["envFrom"] == [
        {"configMapRef": {"name": "loanlake-settings"}},
        {"secretRef": {"name": "loanlake-servers"}},
    ]


def test_settings_are_those_of_the_code_and_no_secret_is_in_a_file(settings_known: set[str]) -> None:
    # a password as an argument would be in the list of processes
    shown = set(re.findall(r"^([A-Z_0-9]+)=", (FOLDER / "README.md").read_text(), re.MULTILINE))
    given = {name for overlay in ("trial", "team") for each in rendered(overlay) for name in each.get("data", {})}

    assert shown == OF_A_TEAM | FOREIGN
    assert "--from-literal" not in (FOLDER / "README.md").read_text()
    assert given | shown <= settings_known
    assert not any(each["kind"] == "Secret" for each in MANIFESTS.values())


def test_a_service_leads_to_ports_of_its_pods() -> None:
    for service in (each for each in MANIFESTS.values() if each["kind"] == "Service"):
        workload = SETS[service["metadata"]["name"]]["spec"]
        ports = {
            port["name"]
            for container in workload["template"]["spec"]["containers"]
            for port in container.get("ports", [])
        }

        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
        assert service["spec"]["selector"] == workload["selector"]["matchLabels"]
        assert workload["serviceName"] == service["metadata"]["name"]


def test_only_the_ingress_and_prometheus_reach_the_api_and_nothing_the_worker() -> None:
    opened = of_kind("NetworkPolicy", "to-the-api")["spec"]["ingress"]

    assert of_kind("NetworkPolicy", "nothing")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [port["port"] for rule in opened for port in rule["ports"]] == [8000]
    assert of_kind("NetworkPolicy", "to-the-worker")["spec"]["ingress"] == []


def test_every_pod_reaches_the_servers_and_none_the_clouds_own_address() -> None:
    policy = of_kind("NetworkPolicy", "to-the-servers")["spec"]
    [chosen] = policy["podSelector"]["matchExpressions"]
    servers, objects = policy["egress"]

    assert chosen == {"key": "app.kubernetes.io/name", "operator": "In", "values": list(SETS)}
    assert {port["port"] for port in servers["ports"]} == {5432, 6379}
    assert {port["port"] for port in objects["ports"]} == {443}
    assert objects["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]


def test_prometheus_knows_the_api_by_the_job_of_the_rules() -> None:
    service = next(
        each for each in rendered("team") if each["kind"] == "Service" and each["metadata"]["name"] == "loanlake-api"
    )
    label = of_kind("ServiceMonitor")["spec"]["jobLabel"]
    rules = (REPOSITORY / "deploy/prometheus/rules/loanlake.yml").read_text()

    assert f'job="{service["metadata"]["labels"][label]}"' in rules
