"""Breaks the files that checks.py judges, one way after the other, and demands that the check notices. Run by run.py.

The rows are explained in tools.py.
"""

import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import checks  # noqa: E402
import tools  # noqa: E402

DEPLOYMENT = "deploy/helm/model-router/templates/deployment.yaml"
SERVICE = "deploy/helm/model-router/templates/service.yaml"
VALUES = "deploy/helm/model-router/values.yaml"
BREAKS = [
    (checks.dockerfile, "Dockerfile", "USER 65532:65532", "USER root", "number other than 0"),
    (checks.dockerfile, "Dockerfile", "HEALTHCHECK", "LABEL health=", "no health check"),
    (checks.dockerfile, "Dockerfile", "cc-debian12:nonroot", "cc-debian12", "DL3006"),
    (checks.dockerfile, "Dockerfile", "EXPOSE 8080", "EXPOSE 8080\nENV API_KEY=1", "stays in the image"),
    (checks.dockerfile, "Dockerfile", 'ARG FEATURES="redis,otel"', 'ARG FEATURES="redis,hotel"', "no feature hotel"),
    (checks.dockerfile, "Dockerfile", "--package router-server --features otel", "--package router-server --no-default-features", "all commands"),
    (checks.dockerfile, "Dockerfile", "WORKDIR /work", "ENV ROUTER__SERVER__LISTEN=0.0.0.0:8080", "laid over"),
    (checks.dockerfile, "Dockerfile", "--from=build-tools /out/router-server-tools /usr/local/bin/router-server", "--from=build-tools /out/router-server-tools /usr/bin/tools", "one program"),
    (checks.dockerfile, "docs/deployment.md", "`simulate`", "`simulation`", "does not name"),
    (checks.compose, "compose.yaml", "      target: tools", "      target: toolbox", "no stage"),
    (checks.dockerfile, ".dockerignore", "!tests/Cargo.toml\n", "", "tests/Cargo.toml"),
    (checks.yaml_style, "compose.yaml", "    ports:", "   ports:", "indentation"),
    (checks.compose, "compose.yaml", "stop_grace_period", "stop_grace_periode", "stop_grace_periode"),
    (checks.compose, "compose.yaml", "127.0.0.1:8900:8900", "8900:8900", "beyond this machine"),
    (checks.compose, "compose.yaml", "./configs:", "./confgs:", "not there"),
    (checks.compose, "compose.yaml", "target: emulator", "target: double", "no stage"),
    (checks.compose, "configs/compose.toml", "http://emulator:", "http://emulater:", "names no service"),
    (checks.compose, "configs/compose.toml", 'billing = "provisioned"', 'billing = "bought"', "billing"),
    (checks.compose, "configs/compose.toml", '"gpt-5-4-payg"', '"gpt-5-4-paid"', "none of the emulator's"),
    (checks.compose, "configs/prometheus/prometheus.yml", "router:8080", "localhost:8080", "does not scrape"),
    (checks.compose, "configs/compose.toml", "redis://redis:", "http://redis:", "replicas.url"),
    (checks.compose, "deploy/compose/grafana/dashboards/model-router.yaml", "/etc/dashboards", "/etc/boards", "not mounted"),
    (checks.compose, "compose.yaml", "./configs/grafana:", "./configs/grafna:", "not there"),
    (checks.chart, "deploy/helm/model-router/templates/_helpers.tpl", "scheme: HTTPS", "scheme: HTTP", "do not speak the same"),
    (checks.chart, VALUES, 'model = "gpt-5.6-sol"', 'model = "gpt-99"', "gpt-99"),
    (checks.chart, VALUES, "drainSeconds: 120", "drainSecs: 120", "drainSecs"),
    (checks.chart, VALUES, "runAsNonRoot: true", "runAsNonRoot: false", "as root"),
    (checks.chart, DEPLOYMENT, '"/readyz"', '"/ready"', "readinessProbe"),
    (checks.chart, DEPLOYMENT, "imagePullPolicy", "imagePullPollicy", "imagePullPollicy"),
    (checks.chart, DEPLOYMENT, "unreadySeconds .Values.drainSeconds 10", "unreadySeconds 10", "before the router has drained"),
    (checks.chart, SERVICE, "targetPort: http", "targetPort: web", "no port of the container"),
    (checks.chart, SERVICE, "appProtocol:", "protocolApp:", "protocolApp"),
    (checks.chart, "deploy/helm/model-router/templates/_helpers.tpl", "fail \"callers need keys", "print \"callers need keys", "installs with"),
    (checks.chart, "deploy/helm/model-router/templates/ingress.yaml", "pathType:", "typeOfPath:", "pathType"),
    (checks.chart, "deploy/helm/model-router/templates/hpa.yaml", "model_router_in_flight", "in_flight", "no metric of ours"),
    (checks.chart, "deploy/helm/model-router/values.schema.json", '"minimum": 0', '"minimum": -5', "lets through"),
    (checks.chart, "deploy/helm/model-router/Chart.yaml", "appVersion: 0.", "appVersion: 9.", "appVersion"),
    (checks.chart, "deploy/kubernetes/report.yaml", "restartPolicy:", "restartPollicy:", "restartPollicy"),
    (checks.chart, "deploy/kubernetes/report.yaml", "args: [report,", "args: [reports,", "no such command"),
    (checks.chart, DEPLOYMENT, "value: /dev/stdout", "value: /var/log/stdout", "request log"),
    (checks.bicep, checks.BICEP, "param external bool = false", "param external = bool false", "UnexpectedToken"),
    (checks.bicep, checks.BICEP, "  name: openAiAccount\n", "  name: 'fixed'\n", "not used"),
    (checks.bicep, checks.BICEP, "targetPort: 8080", "targetPort: 80", "different ports"),
    (checks.bicep, checks.BICEP, "path: '/readyz'", "path: '/ready'", "Readiness"),
    (checks.bicep, checks.BICEP, "GracePeriodSeconds: 150", "GracePeriodSeconds: 15", "before the router has drained"),
    (checks.bicep, checks.BICEP, "'/mnt/secrets/router-toml'", "'/mnt/config/router-toml'", "not among"),
    (checks.bicep, checks.BICEP, "__IDENTITY__CLIENT_ID", "__IDENTITY__CLIENTID", "unknown key"),
    (checks.systemd, checks.UNIT, "ProtectKernelLogs=yes", "ProtectKernelLogs=maybe", "Failed to parse"),
    (checks.systemd, checks.UNIT, "router-server serve", "router-server server", "no such command"),
    (checks.systemd, checks.UNIT, "CapabilityBoundingSet=\n", "", "security"),
]
# All that the checks read.
FILES = ["Cargo.toml", "Cargo.lock", "Dockerfile", ".dockerignore", "compose.yaml", "configs", "deploy"]
FILES += ["router-core", "router-server", "router-lab", "azure-emulator", "tests", "docs"]


def main():
    rows = [row for row in BREAKS if not checks.missing(checks.CHECKS[row[0]])]
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in FILES:
            source = checks.ROOT / name
            ignore = shutil.ignore_patterns("target", "__pycache__")
            shutil.copytree(source, tree / name, ignore=ignore) if source.is_dir() else shutil.copy(source, tree / name)
        blind = tools.unnoticed(tree, rows)
    for fault in blind:
        print(f"  {fault}")
    print(f"breaks: {len(rows) - len(blind)} passed, {len(blind)} failed, {len(BREAKS) - len(rows)} skipped", flush=True)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
