"""What must be true of the files that the project is deployed with. Run by run.py, which installs what is imported here.

Each check takes a tree of files (the repository, or a broken copy of it) and gives the faults it finds, as lines. The
programs' own configurations are loaded by the real program, so that no example rots.
"""

import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(sys.executable).parent
PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
CHART = "deploy/helm/model-router"
BICEP = "deploy/azure/container-app.bicep"
UNIT = "deploy/systemd/model-router.service"
# The oldest Kubernetes that Chart.yaml names, one between, and the newest with schemas at hand.
KUBERNETES = ["1.27.0", "1.32.0", "1.37.0"]
YAML_RULES = """
extends: default
rules:
  line-length: {max: 140}
  document-start: disable
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 1}
  truthy: {check-keys: false}
"""


def run(command, **more):
    """Gives (did it work, what it said)."""
    more = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 120, **more}
    done = subprocess.run([str(part) for part in command], **more)
    return done.returncode == 0, done.stdout


def said(name, text):
    """What a tool said, as faults."""
    return [f"{name}: {line}" for line in text.splitlines() if line.strip()] or [f"{name}: failed without a word"]


def yaml_of(text):
    import yaml

    return yaml.safe_load(text)


def dockerfile(root):
    text = (root / "Dockerfile").read_text()
    fine, told = run([BIN / "hadolint", "--no-color", "--failure-threshold", "style", root / "Dockerfile"])
    faults = [] if fine else said("hadolint", told)
    stages = {}
    name = None
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            name = words[words.index("AS") + 1] if "AS" in words else ""
            stages[name] = stages.get(words[1], [])[:]
        elif words and name is not None and not line.startswith("#"):
            stages[name].append(words)
    if name != "router":
        faults.append("Dockerfile: the last stage, which is built by default, is not `router`")
    for stage in ("router", "tools", "emulator"):
        lines = stages.get(stage, [])
        users = [words[1] for words in lines if words[0] == "USER"]
        if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
            faults.append(f"Dockerfile: {stage} does not run as a user with a number other than 0")
        copied = [words[-1] for words in lines if words[0] == "COPY"]
        entry = " ".join(" ".join(words) for words in lines if words[0] == "ENTRYPOINT")
        if len(copied) != 1 or copied[0] not in entry:
            faults.append(f"Dockerfile: {stage} does not hold the one program that it starts")
    if not any(words[0] == "HEALTHCHECK" for words in stages.get("router", [])):
        faults.append("Dockerfile: router has no health check")
    for words in (words for lines in stages.values() for words in lines):
        if words[0] in ("ENV", "ARG") and re.search(r"(?i)secret|password|token|api_?key", " ".join(words)):
            faults.append(f"Dockerfile: a secret in {words[0]} stays in the image: {words[1]}")
    if shutil.which("cargo"):
        faults += context(root)
    return faults + programs(root, text.replace("\\\n", " "), stages)


# The command that a user who has only images runs in each of them.
COMMANDS = {
    "router": ["serve", "probe", "check", "explain", "init", "import azure", "key new", "config show"],
    "tools": ["simulate", "size", "replay", "calibrate", "report", "train", "evaluate", "demo", "schema", "man", "completions"],
}


def programs(root, text, stages):
    """The features of each image exist and bring its commands; the image of the router sets where it listens, tools do not."""
    declared = tomllib.loads((root / "router-server" / "Cargo.toml").read_text())["features"]
    named = ",".join(re.findall(r'ARG FEATURES="([\w,-]+)"', text) + re.findall(r"--features ([\w,-]+)", text))
    faults = [f"Dockerfile: router-server has no feature {one}" for one in set(named.split(",")) - set(declared)]
    own = [line for line in text.splitlines() if "cargo build" in line and "router-server-tools" in line]
    if len(own) != 1 or "--no-default-features" in own[0]:
        faults.append("Dockerfile: the image `tools` is not built with all commands")
    commands = COMMANDS["router"] + COMMANDS["tools"]
    for command in commands:
        if not run([PROGRAMS / "router-server", *command.split(), "--help"])[0]:
            faults.append(f"Dockerfile: no such command for the image `tools`: {command}")
    if any(words[0] == "ENV" for words in stages.get("tools", [])):
        faults.append("Dockerfile: tools set a variable, which would be laid over every configuration that they read")
    page = (root / "docs" / "deployment.md").read_text()
    return faults + [f"docs/deployment.md: does not name `{one}`" for one in COMMANDS["tools"] if f"`{one}`" not in page]


def context(root):
    """The files that .dockerignore lets through are enough for Cargo to read every manifest."""
    lines = (root / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    if "*" not in lines:
        return [".dockerignore: does not begin with everything"]
    with tempfile.TemporaryDirectory() as folder:
        for path in kept:
            source, target = root / path, pathlib.Path(folder, path)
            if not source.exists():
                return [f".dockerignore: no such file: {path}"]
            target.parent.mkdir(parents=True, exist_ok=True)
            ignore = shutil.ignore_patterns("target")
            shutil.copytree(source, target, ignore=ignore) if source.is_dir() else shutil.copy(source, target)
        fine, told = run(["cargo", "metadata", "--offline", "--no-deps", "--format-version", "1"], cwd=folder)
        return [] if fine else said(".dockerignore", told)


def yaml_style(root):
    files = [root / "compose.yaml", *(root / "deploy").rglob("*.yaml"), *(root / "configs").rglob("*.y*ml")]
    files += (root / "tests" / "deploy").glob("*.yaml")
    files = [file for file in files if "templates" not in file.parts]
    fine, told = run([BIN / "yamllint", "--strict", "--format", "parsable", "--config-data", YAML_RULES, *files])
    return [] if fine else said("yamllint", told)


def checked(name, text_or_files, environment=None):
    """What the router itself says of a configuration."""
    with tempfile.TemporaryDirectory() as folder:
        files = text_or_files
        if isinstance(text_or_files, str):
            files = [pathlib.Path(folder, "router.toml")]
            files[0].write_text(text_or_files)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ROUTER_")}
        command = [PROGRAMS / "router-server", "check", "--config", *files]
        fine, told = run(command, env={**clean, **(environment or {})})
        return [] if fine else said(name, told)


def compose(root):
    fine, told = run([BIN / "docker-compose", "--file", root / "compose.yaml", "--profile", "tools", "config", "--format", "json"])
    if not fine:
        return said("compose.yaml", told)
    services = json.loads(told)["services"]
    faults = []
    for name, service in services.items():
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                faults.append(f"compose.yaml: {name} is published beyond this machine: {port['published']}")
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not pathlib.Path(volume["source"]).exists():
                faults.append(f"compose.yaml: {name} mounts what is not there: {volume['source']}")
        if not re.search(r":[^:]*\d|:local$", service["image"]):
            faults.append(f"compose.yaml: {name} names no version of its image")
        if service.get("healthcheck") is None and name == "redis":
            faults.append("compose.yaml: nobody knows when redis is there")
        if "build" in service and not re.search(rf"AS {service['build']['target']}\b", (root / "Dockerfile").read_text()):
            faults.append(f"compose.yaml: {name} builds no stage of the Dockerfile")
    return faults or compose_router(root, services)


def compose_router(root, services):
    """The router loads its configuration, and what that names is there."""
    router = services["router"]
    mounts = {volume["target"]: volume["source"] for volume in router["volumes"]}
    files = [pathlib.Path(word) for word in router["command"] if word.endswith(".toml")]
    local = [pathlib.Path(mounts[str(file.parent)], file.name) for file in files]
    faults = checked("compose.yaml", local, router.get("environment"))
    settings = tomllib.loads(local[0].read_text())
    emulated = tomllib.loads((root / "azure-emulator" / "default.toml").read_text())["deployments"]
    for name, endpoint in settings["endpoints"].items():
        host = re.fullmatch(r"http://([a-z0-9-]+):(\d+)", endpoint["url"])
        if not host or host[1] not in services:
            faults.append(f"{local[0].name}: endpoints.{name}.url names no service of compose.yaml")
        elif f'"0.0.0.0:{host[2]}"' not in (root / "Dockerfile").read_text():
            faults.append(f"{local[0].name}: endpoints.{name}.url names another port than the Dockerfile's emulator")
    for name, deployment in settings["deployments"].items():
        if deployment.get("azure_deployment", deployment["model"]) not in emulated:
            faults.append(f"{local[0].name}: deployments.{name} is none of the emulator's")
    return faults + compose_figures(root, services)


def compose_figures(root, services):
    """Prometheus scrapes the router, Grafana asks Prometheus and shows our dashboard."""
    faults = []
    scraped = root / "configs" / "prometheus" / "prometheus.yml"
    if not scraped.exists() or "router:8080" not in str(yaml_of(scraped.read_text()).get("scrape_configs")):
        faults.append("configs/prometheus/prometheus.yml: does not scrape router:8080")
    for file in (root / "deploy/compose/grafana/datasources").glob("*.yaml"):
        for source in yaml_of(file.read_text())["datasources"]:
            if source["url"] != "http://prometheus:9090":
                faults.append(f"{file.name}: {source['url']} is not where Prometheus is")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    boards = {volume["target"]: volume["source"] for volume in services["grafana"]["volumes"]}
    folder, _, board = home.rpartition("/")
    if not pathlib.Path(boards.get(folder, "nowhere"), board).is_file():
        faults.append(f"compose.yaml: grafana's first dashboard is not there: {home}")
    for file in (root / "deploy/compose/grafana/dashboards").glob("*.yaml"):
        for provider in yaml_of(file.read_text())["providers"]:
            if provider["options"]["path"] not in boards:
                faults.append(f"{file.name}: {provider['options']['path']} is not mounted")
    return faults


def chart(root):
    import helm_python.chart as helm

    path = str(root / CHART)
    report = helm.lint(path, strict=True)
    told = [message for message in report["messages"] if message["severity"] > 1]
    faults = [f"chart: {message['path']}: {message['error']}" for message in told]
    faults += [f"chart: {error}" for error in report["errors"]]
    hash_of_key = f"sha256:{hashlib.sha256(b'a key of this check').hexdigest()}"
    cases = {"default": {"keys": {"check": {"hashes": [hash_of_key], "operator": True}}}}
    for file in sorted((root / CHART / "ci").glob("*.yaml")):
        cases[file.name] = yaml_of(file.read_text())
    try:
        with helm.Chart.load(path) as loaded:
            version = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]
            if loaded.metadata["appVersion"] != version:
                faults.append(f"Chart.yaml: appVersion is not the program's {version}")
            for name, values in cases.items():
                loaded.validate_schema(values)
                rendered = loaded.render(values, name="release", namespace="space")
                objects = [yaml_of(text) for file, text in rendered.items() if not file.endswith(".txt")]
                faults += [f"chart with {name}: {fault}" for fault in manifests(root, [one for one in objects if one])]
            faults += refused(loaded) + not_installed(loaded) + plain(root)
            faults += documented(root, loaded)
    except Exception as fault:
        faults.append(f"chart: {type(fault).__name__}: {fault}")
    return faults


def plain(root):
    """Manifests beside the chart are of Kubernetes; kinds of which it has no schema are only read."""
    import kubernetes_validate

    faults = []
    for file in sorted((root / "deploy" / "kubernetes").glob("*.yaml")):
        one = yaml_of(file.read_text())
        for version in KUBERNETES if one["kind"] not in CUSTOM else []:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except Exception as fault:
                faults.append(f"{file.name}: Kubernetes {version}: {getattr(fault, 'message', fault)}")
        for container in one["spec"].get("template", {}).get("spec", {}).get("containers", []):
            if not run([PROGRAMS / "router-server", container["args"][0], "--help"])[0]:
                faults.append(f"{file.name}: no such command: {container['args'][0]}")
    return faults


def not_installed(loaded):
    """What would serve anybody, or spend a budget once for each pod, is not rendered."""
    budget = {"keys": {"a": {"hashes": ["sha256:" + "1f" * 32], "monthly_budget_usd": 5}}}
    faults = []
    for values, word in [({}, "callers need keys"), (budget, "redis.url")]:
        try:
            loaded.render(values, name="release", namespace="space")
            faults.append(f"chart: installs with {values}")
        except Exception as refusal:
            if word not in str(refusal):
                faults.append(f"chart: refuses {values} without the words `{word}`: {refusal}")
    return faults


def refused(loaded):
    """The schema refuses what it should, and names it."""
    faults = []
    for case in yaml_of((pathlib.Path(__file__).parent / "faulty_values.yaml").read_text()):
        try:
            loaded.validate_schema(case["values"])
            faults.append(f"values.schema.json: lets through {case['values']}")
        except Exception as refusal:
            if case["names"] not in str(refusal):
                faults.append(f"values.schema.json: refuses {case['values']} without naming {case['names']}: {refusal}")
    return faults


def documented(root, loaded):
    """The schema and values.yaml have the same keys at the top."""
    known, there = set(loaded.schema["properties"]) - {"global"}, set(loaded.values)
    return [f"values.schema.json and values.yaml differ in {sorted(known ^ there)}"] if known != there else []


# Kinds of which Kubernetes itself has no schema.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "HTTPRoute", "ScaledObject"}


def manifests(root, objects):
    import kubernetes_validate

    faults = []
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        for version in KUBERNETES if one["kind"] not in CUSTOM else []:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except Exception as fault:
                faults.append(f"{name}: Kubernetes {version}: {getattr(fault, 'message', fault)}")
    kinds = {one["kind"]: one for one in objects if not one["metadata"]["name"].endswith("-dashboard")}
    pod = kinds["Deployment"]["spec"]["template"]
    return faults + fitting(kinds, pod) + sound_pod(pod["spec"]) + configured(kinds, pod["spec"]) + scaled(root, kinds)


def fitting(kinds, pod):
    """What selects pods or names ports means these pods and ports."""
    labels = pod["metadata"]["labels"]
    selectors = {
        "Deployment": ("spec", "selector", "matchLabels"),
        "Service": ("spec", "selector"),
        "PodDisruptionBudget": ("spec", "selector", "matchLabels"),
        "NetworkPolicy": ("spec", "podSelector", "matchLabels"),
    }
    faults = []
    for kind, path in selectors.items():
        if kind in kinds:
            chosen = functools.reduce(lambda part, key: part[key], path, kinds[kind])
            if not chosen or not chosen.items() <= labels.items():
                faults.append(f"{kind}: selects other pods than the Deployment's")
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    service = kinds["Service"]
    if not {port["targetPort"] for port in service["spec"]["ports"]} <= ports:
        faults.append("Service: its target is no port of the container")
    if monitor := kinds.get("ServiceMonitor"):
        chosen = monitor["spec"]["selector"]["matchLabels"]
        if not chosen.items() <= service["metadata"]["labels"].items():
            faults.append("ServiceMonitor: does not select the Service")
        if not {end["port"] for end in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}:
            faults.append("ServiceMonitor: names no port of the Service")
    for probe, path in (("livenessProbe", "/healthz"), ("startupProbe", "/healthz"), ("readinessProbe", "/readyz")):
        if "tcpSocket" in container.get(probe, {}) and "ROUTER__SERVER__TLS__CLIENT_CA" in variables(container):
            # The kubelet has no certificate to show.
            continue
        asked = container.get(probe, {}).get("httpGet", {})
        if asked.get("scheme", "HTTP") != ("HTTPS" if "ROUTER__SERVER__TLS__KEY" in variables(container) else "HTTP"):
            faults.append(f"Deployment: {probe} and the listener do not speak the same")
        if asked.get("path") != path or asked.get("port") not in ports:
            faults.append(f"Deployment: {probe} does not ask {path}")
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    if mounted != {volume["name"] for volume in pod["spec"]["volumes"]}:
        faults.append("Deployment: volumes and mounts differ")
    if any("subPath" in mount for mount in container["volumeMounts"]):
        faults.append("Deployment: a mount with subPath never changes in a running pod")
    return faults


def sound_pod(spec):
    container, faults = spec["containers"][0], []
    own = container["securityContext"]
    if not spec["securityContext"]["runAsNonRoot"] or not spec["securityContext"]["runAsUser"]:
        faults.append("Deployment: may run as root")
    if not own["readOnlyRootFilesystem"] or own["allowPrivilegeEscalation"] or own["capabilities"]["drop"] != ["ALL"]:
        faults.append("Deployment: the container may do more than it has to")
    if spec["automountServiceAccountToken"]:
        faults.append("Deployment: a token of the cluster is mounted")
    arguments = container["args"]
    unready = int(arguments[arguments.index("--unready-ms") + 1])
    drain = int(variables(container)["ROUTER__SERVER__DRAIN_MS"])
    if spec["terminationGracePeriodSeconds"] * 1000 < unready + drain:
        faults.append("Deployment: killed before the router has drained")
    return faults


def variables(container):
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def configured(kinds, spec):
    """The router loads the mounted configuration under the variables of the container."""
    container = spec["containers"][0]
    faults = []
    words = container["args"]
    configs = [words[at + 1] for at, word in enumerate(words) if word == "--config"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    for config in configs:
        if mounts.get(config.rpartition("/")[0]) != "config":
            faults.append(f"Deployment: {config} is not mounted")
    if "ConfigMap" in kinds:
        # Those of the listener's TLS name files that are there only in the cluster.
        tls = "ROUTER__SERVER__TLS__"
        own = variables(container).items()
        settings = {name: value for name, value in own if name.startswith("ROUTER_") and not name.startswith(tls)}
        files = [kinds["ConfigMap"]["data"][config.rpartition("/")[2]] for config in configs]
        log = settings.get("ROUTER__REQUEST_LOG__PATH")
        stdout = log == "/dev/stdout"
        if log and not stdout and mounts.get(log.rpartition("/")[0]) != "request-log":
            faults.append(f"Deployment: {log} is not on the volume of the request log")
        with tempfile.TemporaryDirectory() as folder:
            # The volume is there only in the cluster.
            settings |= {"ROUTER__REQUEST_LOG__PATH": f"{folder}/requests.jsonl"} if log and not stdout else {}
            faults += checked("ConfigMap", "\n".join(files), settings)
    listen = variables(container)["ROUTER__SERVER__LISTEN"]
    if not any(listen == f"0.0.0.0:{port['containerPort']}" for port in container["ports"]):
        faults.append("Deployment: listens at another port than it says")
    return faults


def scaled(root, kinds):
    """The autoscaler asks for a metric that the router has, and no number of pods fights it."""
    if "HorizontalPodAutoscaler" not in kinds:
        return []
    known = {line.split()[0] for line in (root / "tests" / "metrics.txt").read_text().splitlines() if line.strip()}
    metrics = kinds["HorizontalPodAutoscaler"]["spec"]["metrics"]
    asked = {metric["pods"]["metric"]["name"] for metric in metrics if "pods" in metric}
    faults = [f"HorizontalPodAutoscaler: no metric of ours: {name}" for name in asked - known]
    if "replicas" in kinds["Deployment"]["spec"]:
        faults.append("Deployment: its replicas undo what the autoscaler does")
    return faults


def bicep(root):
    """The module parses, uses what it declares, and its container starts the router with a configuration that loads."""
    import pycep

    text = (root / BICEP).read_text()
    try:
        module = pycep.BicepParser().parse(text=text)
    except Exception as fault:
        return [f"{BICEP}: {type(fault).__name__}: {' '.join(str(fault).split())[:300]}"]
    faults = []
    for kind in ("parameters", "variables", "resources"):
        for name, one in module.get(kind, {}).items():
            if kind != "resources" and len(re.findall(rf"\b{name}\b", text)) < 2:
                faults.append(f"{BICEP}: {name} is declared and not used")
            if kind == "resources" and not re.fullmatch(r"20\d\d-\d\d-\d\d(-preview)?", one["api_version"]):
                faults.append(f"{BICEP}: {name} has no version of its API")
    app = module["resources"]["app"]["config"]["properties"]
    template = app["template"]
    container = template["containers"][0]
    settings = {one["name"]: one["value"] for one in container["env"]}
    port = app["configuration"]["ingress"]["targetPort"]
    if settings["ROUTER__SERVER__LISTEN"] != f"0.0.0.0:{port}":
        faults.append(f"{BICEP}: the ingress and the listener have different ports")
    for probe in container["probes"]:
        if (probe["httpGet"]["path"], probe["httpGet"]["port"]) not in {("/healthz", port), ("/readyz", port)}:
            faults.append(f"{BICEP}: the probe {probe['type']} asks {probe['httpGet']}")
    if template["terminationGracePeriodSeconds"] * 1000 <= int(settings["ROUTER__SERVER__DRAIN_MS"]):
        faults.append(f"{BICEP}: killed before the router has drained")
    mounts = {mount["volumeName"]: mount["mountPath"] for mount in container["volumeMounts"]}
    config = container["args"][container["args"].index("--config") + 1]
    if config != f"{mounts.get('secrets')}/router-toml" or "'router-toml'" not in text:
        faults.append(f"{BICEP}: {config} is not among the mounted secrets")
    # The endpoint of the page, with the variables that the module sets; the id is known only at Azure.
    own = {name.replace("${toUpper(identityEndpoint)}", "MAIN"): value for name, value in settings.items()}
    own = {name: value if isinstance(value, str) else "5f6a8c2e-11aa-4b5c-9d00-1a2b3c4d5e6f" for name, value in own.items()}
    page = (root / "docs" / "deployment.md").read_text()
    shown = next(block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "app_service" in block)
    return faults + checked(BICEP, shown + REST_OF_A_CONFIGURATION, own)


REST_OF_A_CONFIGURATION = """
[deployments.chat]
model = "gpt-5.4"
sku = "GlobalStandard"
[roles]
reasoning = { models = ["gpt-5.4"] }
chat = { models = ["gpt-5.4"] }
[keys.a]
hashes = ["sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]
"""


def systemd(root):
    text = (root / UNIT).read_text()
    faults = []
    for line in re.findall(r"(?m)^ExecStart(?:Pre)?=(.*)$", text):
        program, command, *_ = line.split()
        if program != "/usr/local/bin/router-server" or run([PROGRAMS / "router-server", command, "--help"])[0] is False:
            faults.append(f"{UNIT}: no such command: {line}")
    for key, value in {"ExecReload": "/bin/kill -HUP $MAINPID", "DynamicUser": "yes", "ProtectSystem": "strict"}.items():
        if not re.search(rf"(?m)^{key}={re.escape(value)}$", text):
            faults.append(f"{UNIT}: {key} is not {value}")
    with tempfile.TemporaryDirectory() as folder:
        # The program is not installed here, and systemd asks for it.
        unit = pathlib.Path(folder, "model-router.service")
        unit.write_text(text.replace("/usr/local/bin/router-server", str(PROGRAMS / "router-server")))
        fine, told = run(["systemd-analyze", "verify", "--man=no", unit])
        if not fine or told.strip():
            faults += said("systemd-analyze verify", told)
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit]
        fine, told = run(command)
        if not fine:
            faults += said("systemd-analyze security", "\n".join(told.splitlines()[-3:]))
    return faults


# Each check and what it cannot do without: an importable module, or a program.
CHECKS = {
    dockerfile: ["hadolint"],
    yaml_style: ["yamllint"],
    compose: ["docker-compose", "yaml"],
    chart: ["helm_python", "kubernetes_validate", "yaml"],
    bicep: ["pycep"],
    systemd: ["systemd-analyze"],
}


def missing(needs):
    def there(name):
        return importlib.util.find_spec(name.replace("-", "_")) or (BIN / name).exists() or shutil.which(name)

    return [name for name in needs if not there(name)]


def main():
    failed = skipped = 0
    for check, needs in CHECKS.items():
        if lacking := missing(needs):
            skipped += 1
            print(f"SKIPPED {check.__name__}: {', '.join(lacking)} cannot be had here")
            continue
        faults = check(ROOT)
        failed += bool(faults)
        print(f"{check.__name__}: {'FAILED' if faults else 'ok'}")
        for fault in faults:
            print(f"  {fault}")
    print(f"{len(CHECKS) - failed - skipped} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
