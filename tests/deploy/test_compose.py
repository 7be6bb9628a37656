"""compose.yaml names what there is. `make lint-deploy` reads it with Compose's own parser."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.folder import DEPLOY, FOREIGN, OF_A_TEAM

FOLDER = DEPLOY / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("loanlake-")}

each_service = pytest.mark.parametrize("name", SERVICES)


def test_it_has_all_that_a_team_runs() -> None:
    assert set(SERVICES) == {
        *("api-1", "api-2", "nginx", "dagster-webserver", "dagster-daemon", "mlflow"),
        *("postgres", "redis", "objects", "bucket", "prometheus", "alertmanager", "grafana"),
        *("backup", "backup-objects"),
    }


def _homes() -> dict[str, str]:
    return {name: volume.partition(":")[0] for name in OURS for volume in SERVICES[name]["volumes"]}


def test_a_machine_has_a_home_and_a_name_of_its_own() -> None:
    names = {SERVICES[name]["environment"]["LOANLAKE_MACHINE"] for name in OURS}

    assert _homes() == {
        "api-1": "api-1",
        "api-2": "api-2",
        **dict.fromkeys(["dagster-webserver", "dagster-daemon", "mlflow"], "worker"),
    }
    assert names == OURS


@pytest.mark.parametrize("name", sorted(OURS))
def test_machines_share_their_servers(name: str) -> None:
    given = SERVICES[name]["environment"]

    assert set(given) >= OF_A_TEAM | FOREIGN
    assert {variable: given[variable] for variable in OF_A_TEAM} == {
        variable: SERVICES["api-1"]["environment"][variable] for variable in OF_A_TEAM
    }
    # the addresses are services of the file
    assert re.findall(r"host=(\w+)", given["LOANLAKE_CATALOG"]) == ["postgres"]
    assert re.findall(r"@(\w+):", given["LOANLAKE_REDIS_URL"]) == ["redis"]
    assert given["AWS_ENDPOINT_URL_S3"] == "http://objects:9000"
    assert f"here/{given['LOANLAKE_LAKE_DATA'].split('/')[2]} " in f"{SERVICES['bucket']['command'][0]} "


def test_a_backup_copies_the_database_before_the_objects() -> None:
    """`loanlake backup` refuses a team's home; data files are only added, so that a dump finds those it names."""
    steps = re.findall(r"docker compose run --rm ([\w-]+)", (FOLDER / "README.md").read_text())

    assert steps == ["backup", "backup-objects"]
    assert "--remove" not in " ".join(SERVICES["backup-objects"]["command"])
    assert all(SERVICES[name]["profiles"] == ["backup"] for name in ("backup", "backup-objects"))


@each_service
def test_a_container_has_no_rights_and_writes_to_its_volumes_alone(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_container_gets_settings_that_there_are(name: str, settings_known: set[str]) -> None:
    assert set(SERVICES[name]["environment"]) - settings_known == set()


def test_every_variable_of_the_file_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT)) - {"LOANLAKE_IMAGE_TAG"}
    offered = set(re.findall(r"^([A-Z_]+)=", (FOLDER / "env.example").read_text(), re.MULTILINE))

    assert used == offered


def test_no_password_has_a_default() -> None:
    passwords = re.findall(r"(?<!\$)\$\{([A-Z_]+_PASSWORD)(\S*?)\}", TEXT.replace("set it in .env", "needed"))

    assert {rest for _, rest in passwords} == {":?needed"}
    assert re.findall(r"(?i)password[=:] *[a-z0-9]", TEXT.replace("requirepass", "")) == []


def test_what_is_mounted_exists() -> None:
    sources = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith(".") and not volume.startswith("./secrets/")
    ]

    assert [source for source in sources if not (FOLDER / source).exists()] == []
    assert {path.name for path in (DEPLOY / "nginx").glob("*.conf")} == {
        source.rpartition("/")[2] for source in sources if "/nginx/" in source
    }
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == set(COMPOSE["volumes"])


def test_nginx_passes_on_to_services_with_fixed_addresses() -> None:
    upstreams = re.findall(r"server ([\w-]+):(\d+)", (DEPLOY / "nginx" / "upstreams.conf").read_text())

    assert dict(upstreams) == {"api-1": "8000", "api-2": "8000", "dagster-webserver": "3000", "mlflow": "5000"}
    assert all("ipv4_address" in SERVICES[name]["networks"]["inside"] for name, _ in upstreams)


def test_the_ports_of_nginx_are_those_it_listens_on() -> None:
    listened = re.findall(r"listen (\d+) ssl", "".join(path.read_text() for path in (DEPLOY / "nginx").glob("*.conf")))
    published = [port.rpartition(":")[2] for port in SERVICES["nginx"]["ports"]]

    assert sorted(published) == sorted(listened)


def test_pages_without_a_login_are_not_published() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}

    assert published == {"nginx", "grafana"}
    assert outside == {"nginx", "grafana", "alertmanager"}
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_checks_ask_the_api_for_a_path_that_there_is(api_paths: set[str]) -> None:
    asked = {
        (name, found)
        for name in ("api-1", "api-2")
        for found in re.findall(r"127\.0\.0\.1:(\d+/\w+)", " ".join(SERVICES[name]["healthcheck"]["test"]))
    }

    assert asked == {("api-1", "8000/healthz"), ("api-2", "8000/healthz")}
    assert "/healthz" in api_paths


def test_prometheus_scrapes_both_apis_by_the_job_that_the_rules_know() -> None:
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    alone = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]

    assert job["job_name"] == alone["job_name"]
    assert job["static_configs"] == [{"targets": ["api-1:8000", "api-2:8000"]}]


def test_every_other_variable_is_one_of_the_object_stores() -> None:
    assert {name for name in SERVICES["api-1"]["environment"] if not name.startswith("LOANLAKE_")} == FOREIGN
