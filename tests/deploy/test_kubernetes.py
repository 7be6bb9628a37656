"""The manifests are of Kubernetes' own schemas, and name what there is."""

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

from tests.deploy.folder import DEPLOY
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
DEPLOYMENTS = {
    document["metadata"]["name"]: document for document in MANIFESTS.values() if document["kind"] == "Deployment"
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


def test_a_rollout_never_has_fewer_ready_pods() -> None:
    spec = of_kind("Deployment")["spec"]
    scaler = of_kind("HorizontalPodAutoscaler")["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in spec  # the autoscaler's
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert scaler["scaleTargetRef"]["name"] == of_kind("Deployment")["metadata"]["name"]
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] < scaler["minReplicas"]


def test_probes_ask_for_paths_that_there_are(api_paths: set[str]) -> None:
    [container] = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    [endpoint] = of_kind("ServiceMonitor")["spec"]["endpoints"]

    # a pod that cannot score gets no requests, and is not restarted for it
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert {*probes.values(), endpoint["path"]} <= api_paths


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_has_no_rights_and_a_limit(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == int(
        re.findall(r"USER (\d+)", (DEPLOY / "image/Dockerfile").read_text())[0]
    )
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]) == {"requests", "limits"}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_starts_a_program_that_there_is(name: str, commands: set[str]) -> None:
    [container] = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    program, word, *_ = container["args"]

    assert (program == "loanlake" and word in commands) or (
        program == "loanlake-service" and word in {"webserver", "daemon", "mlflow"}
    )
    assert container["image"] == ("loanlake-api" if program == "loanlake" else "loanlake-worker")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_of_one_home_are_on_one_machine(name: str) -> None:
    """SQLite's shared memory, and flock, hold on one machine only."""
    template = DEPLOYMENTS[name]["spec"]["template"]
    [rule] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_settings_are_those_of_the_code_and_secrets_come_by_reference(settings_known: set[str]) -> None:
    sources = {
        name: next(iter(source.values()))["name"]
        for deployment in DEPLOYMENTS.values()
        for source in deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        for name in source
    }
    shown = re.findall(r"--from-(?:literal|file)=(\w+)", (FOLDER / "README.md").read_text())

    assert sources == {"configMapRef": "loanlake-settings", "secretRef": "loanlake-servers"}
    assert set(of_kind("ConfigMap", "loanlake-settings")["data"]) | set(shown) <= settings_known
    assert not any(each["kind"] == "Secret" for each in MANIFESTS.values())


def test_a_service_leads_to_a_port_of_its_pods() -> None:
    for service in (each for each in MANIFESTS.values() if each["kind"] == "Service"):
        deployment = DEPLOYMENTS[service["metadata"]["name"]]
        [port] = service["spec"]["ports"]
        ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]

        assert port["targetPort"] in {each["name"] for each in ports}
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_only_the_ingress_and_prometheus_reach_the_api_and_nothing_the_pages() -> None:
    opened = of_kind("NetworkPolicy", "to-the-api")["spec"]["ingress"]

    assert of_kind("NetworkPolicy", "nothing")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [port["port"] for rule in opened for port in rule["ports"]] == [8000]
    assert of_kind("NetworkPolicy", "to-the-pages")["spec"]["ingress"] == []


def test_the_team_cannot_start_without_its_servers() -> None:
    """In the trial the Secret is optional; a team's pods without it would quietly make an embedded lake."""
    for document in rendered("team"):
        if document["kind"] == "Deployment":
            reference = document["spec"]["template"]["spec"]["containers"][0]["envFrom"][1]["secretRef"]
            assert reference == {"name": "loanlake-servers"}


def test_prometheus_knows_the_api_by_the_job_of_the_rules() -> None:
    service = next(
        each for each in rendered("team") if each["kind"] == "Service" and each["metadata"]["name"] == "loanlake-api"
    )
    label = of_kind("ServiceMonitor")["spec"]["jobLabel"]
    rules = (REPOSITORY / "deploy/prometheus/rules/loanlake.yml").read_text()

    assert f'job="{service["metadata"]["labels"][label]}"' in rules
