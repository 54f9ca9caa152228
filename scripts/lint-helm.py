"""What helm and the schemas of Kubernetes do not check in a rendered chart. Also takes prunella.yaml out of it, for
scripts/lint-config.sh."""

import pathlib
import sys

import yaml

WORKLOADS = ("Deployment", "StatefulSet", "Job")


def problems(objects):
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    if len(there) != len(objects):
        yield "two objects have the same kind and name"
    kinds = [one["kind"] for one in objects]
    if kinds.count("Deployment") != 6 or kinds.count("StatefulSet") != 1:
        yield f"expected a workload for each of seven stages, found {kinds}"
    for one in objects:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "ScaledObject":
            target = one["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) not in there:
                yield f"{name} scales {target}, which is not rendered"
            if any("replicas" in each["spec"] for each in objects
                   if (each["kind"], each["metadata"]["name"]) == (target["kind"], target["name"])):
                yield f"{name} and the replicas of {target['name']} work against each other"
        if one["kind"] not in WORKLOADS:
            continue
        pod = one["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        is_hook = "helm.sh/hook" in one["metadata"].get("annotations", {})
        for volume in pod["volumes"]:
            config = volume.get("configMap", {}).get("name")
            if config and ("ConfigMap", config) not in there:
                yield f"{name}: ConfigMap {config} is not rendered"
            if is_hook and "persistentVolumeClaim" in volume:
                yield f"{name}: a hook before the install cannot mount a claim of the chart"
        for container in pod["containers"]:
            for mount in container["volumeMounts"]:
                if mount["name"] not in volumes:
                    yield f"{name}: volume {mount['name']} is mounted and not declared"
            security = container["securityContext"]
            if not security["readOnlyRootFilesystem"] or security["capabilities"]["drop"] != ["ALL"]:
                yield f"{name}: may do more than it needs"
            if "limits" not in container["resources"]:
                yield f"{name}: has no limits"
            if one["kind"] != "Job":
                ports = {port["name"] for port in container["ports"]}
                for probe in ("livenessProbe", "readinessProbe"):
                    if container[probe]["httpGet"]["port"] not in ports:
                        yield f"{name}: {probe} asks a port that is not declared"
        if not pod["securityContext"]["runAsNonRoot"]:
            yield f"{name}: may run as root"
        selector = one["spec"].get("selector", {}).get("matchLabels", {})
        if not selector.items() <= one["spec"]["template"]["metadata"]["labels"].items():
            yield f"{name}: does not select its own pods"


def main() -> int:
    rendered, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    objects = [one for one in yaml.safe_load_all(rendered.read_text()) if one]
    found = list(problems(objects))
    for problem in found:
        print(f"{rendered}: {problem}", file=sys.stderr)
    for one in objects:
        if one["kind"] == "ConfigMap":
            config = directory / f"{rendered.stem}-{one['metadata']['name']}.prunella"
            config.write_text(one["data"]["prunella.yaml"])
    return 1 if found else 0


sys.exit(main())
