"""Compares the dashboard and the alerts with crates/telemetry/src/metrics.rs: names of metrics, and their labels.
With a file name, also writes the dashboard's expressions there as recording rules, for promtool to read."""

import json
import pathlib
import re
import sys

import yaml

DEFINITIONS = pathlib.Path("crates/telemetry/src/metrics.rs")
DASHBOARD = pathlib.Path("deploy/grafana/dashboards/prunella.json")
ALERTS = pathlib.Path("deploy/prometheus/alerts.yml")
# Set by Prometheus, not by us.
TARGET_LABELS = {"instance", "job", "service"}
DEFINITION = re.compile(r'(counters?|gauges?|seconds)\("(prunella_\w+)",\s*"[^"]*"(?:,\s*&\[([^\]]*)\])?\)')
USE = re.compile(r"(prunella_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def defined():
    metrics = {}
    for kind, name, labels in DEFINITION.findall(DEFINITIONS.read_text()):
        known = set(re.findall(r'"(\w+)"', labels)) | TARGET_LABELS
        metrics[name] = known
        if kind == "seconds":
            metrics[f"{name}_bucket"] = known | {"le"}
            metrics[f"{name}_sum"] = metrics[f"{name}_count"] = known
    return metrics


def expressions():
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"{DASHBOARD}: panel {panel['title']!r}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
        yield f"{DASHBOARD}: variable {variable['name']}", f"sum by ({label}) ({metric})"
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"{ALERTS}: {rule['alert']}", rule["expr"]


def problems(metrics):
    for place, expression in expressions():
        used = USE.findall(expression)
        labels = set()
        for name, matchers in used:
            if name not in metrics:
                yield f"{place}: there is no metric {name}"
                continue
            labels |= metrics[name]
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                if label not in metrics[name]:
                    yield f"{place}: {name} has no label {label}"
        if used:
            grouped = {label.strip() for found in GROUPING.findall(expression) for label in found.split(",")}
            yield from (f"{place}: no metric of it has the label {label}" for label in sorted(grouped - labels))


def write_rules(file: pathlib.Path):
    fill_in = {"$__rate_interval": "1m", "$__range": "1h"}
    rules = []
    for number, (_, expression) in enumerate(expressions()):
        for variable, value in fill_in.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"dashboard:{number}", "expr": expression})
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))


def main() -> int:
    metrics = defined()
    # A change of how metrics are written down must not make this check silent.
    if len(metrics) < 30:
        print(f"{DEFINITIONS}: only {len(metrics)} metrics were recognised", file=sys.stderr)
        return 1
    found = list(problems(metrics))
    for problem in found:
        print(problem, file=sys.stderr)
    if len(sys.argv) > 1:
        write_rules(pathlib.Path(sys.argv[1]))
    return 1 if found else 0


sys.exit(main())
