"""What the schema of the compose specification cannot know of docker-compose.yml."""

import pathlib
import sys

import yaml

ONE_SHOT = "service_completed_successfully"


def problems(file: pathlib.Path):
    compose = yaml.safe_load(file.read_text())
    services, volumes = compose["services"], compose.get("volumes", {})
    used = set()
    for name, service in services.items():
        image = service.get("image", "")
        tag = image.rpartition(":")[2] if ":" in image else ""
        if "build" not in service and not any(digit.isdigit() for digit in tag):
            yield f"{name}: image {image!r} is not pinned to a version"
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: port {port} is published beyond loopback"
        depends = service.get("depends_on", {})
        for other in depends:
            if other not in services:
                yield f"{name}: depends on {other}, which is no service"
                continue
            condition = depends[other]["condition"] if isinstance(depends, dict) else "service_started"
            if condition == "service_healthy" and "healthcheck" not in services[other]:
                yield f"{name}: waits until {other} is healthy, which has no healthcheck"
            if condition == ONE_SHOT and services[other].get("restart") not in (None, "no", "on-failure:5"):
                yield f"{name}: waits for the end of {other}, which is always started again"
        ends = any(ONE_SHOT == wait.get("condition") for one in services.values()
                   for other, wait in (one["depends_on"].items() if isinstance(one.get("depends_on"), dict) else ())
                   if other == name)
        if not ends and ("healthcheck" not in service or "restart" not in service):
            yield f"{name}: wants a healthcheck and a restart policy"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                if not (file.parent / source).exists():
                    yield f"{name}: {source} is mounted and does not exist"
            elif source not in volumes:
                yield f"{name}: volume {source} is not declared"
            used.add(source)
    yield from (f"volume {volume} is not used" for volume in volumes if volume not in used)


def main() -> int:
    found = list(problems(pathlib.Path(sys.argv[1])))
    for problem in found:
        print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
    return 1 if found else 0


sys.exit(main())
