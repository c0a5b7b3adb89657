"""The official Python client's own tests of the API, through the router.

    python sdk_suite.py ROUTER_URL EMULATOR_URL

The tests come with the client's source distribution, at the version that is installed. They check every answer against
the client's types, by the blocking and the asynchronous client, with strict and loose validation. The upstream is
`typed_upstream.py`. The emulator and its router are not used: the tests name models of their own.
"""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version

from llmock_upstream import program

HERE = pathlib.Path(__file__).resolve().parent
# Tests of what the router serves, passes through or forwards to the owner of an object.
SERVED = [
    "chat",
    "conversations",
    "containers",
    "responses",
    "uploads",
    "vector_stores",
    "audio/test_speech.py",
    "audio/test_transcriptions.py",
    "audio/test_translations.py",
    "test_completions.py",
    "test_containers.py",
    "test_conversations.py",
    "test_embeddings.py",
    "test_files.py",
    "test_images.py",
    "test_models.py",
    "test_moderations.py",
    "test_responses.py",
    "test_uploads.py",
    "test_vector_stores.py",
]
# Operations that the router refuses: models are not its callers' to delete.
REFUSED = "not (test_models and delete)"
# A lower count means that the tests have moved, not that they pass.
FEWEST = 1_400
CONFIG = """
[server]
listen = "127.0.0.1:0"
log = "json"

[roles]
chat = {{ models = ["gpt-6-astra"] }}
reasoning = {{ models = ["gpt-6-astra"] }}

[passthrough]
objects = ["files", "uploads", "vector_stores", "containers"]

[endpoints.upstream]
url = "{upstream}"
api = "openai"
anonymous = true

[deployments.defaults]
endpoint = "upstream"
billing = "pay_as_you_go"
area = "global"

[models."gpt-image-1.5"]
media = "images"

[models."omni-moderation-2024-09-26"]
media = "moderation"

[models.model]
context_window_tokens = 100_000
max_output_tokens = 10_000

[aliases]
"gpt-image-2.5-flare" = "gpt-image-1.5"
"""
MODELS = [
    "gpt-3.5-turbo-instruct",
    "gpt-4o-transcribe",
    "gpt-6-astra",
    "gpt-image-1.5",
    "model",
    "omni-moderation-2024-09-26",
    "text-embedding-3-small",
    "tts-1",
    "whisper-1",
]


def sources():
    """The folder with the client's tests, fetched once."""
    name = f"openai-{version('openai')}"
    # Beside the virtual environment, whose contents a new list of packages replaces.
    folder = pathlib.Path(sys.prefix).parent / "sources"
    if not (folder / name).exists():
        folder.mkdir(exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        fetch += ["--no-binary", ":all:", "--dest", folder, f"openai=={version('openai')}"]
        subprocess.run(fetch, check=True)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name


def main():
    tests = sources()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = [sys.executable, HERE / "typed_upstream.py"]
        with program(command, r"listening on (\S+)", folder, "upstream") as upstream:
            file = folder / "router.toml"
            deployments = [f"\n[deployments.{re.sub('[.-]', '_', model)}]\nmodel = \"{model}\"\n" for model in MODELS]
            file.write_text(CONFIG.format(upstream=upstream) + "".join(deployments))
            serve = [os.environ["ROUTER_SERVER"], "serve", "--config", str(file), "--unready-ms", "0"]
            with program(serve, r'"address": ?"([^"]+)"', folder, "router") as router:
                run = [sys.executable, "-m", "pytest", "--quiet", "--tb=line", "--show-capture=no", "-p", "no:warnings"]
                run += ["-p", "no:cacheprovider", "--override-ini", "addopts=", "-k", REFUSED]
                run += [f"tests/api_resources/{part}" for part in SERVED]
                environment = {**os.environ, "TEST_API_BASE_URL": f"{router}/v1"}
                done = subprocess.run(run, cwd=tests, env=environment, text=True, stdout=subprocess.PIPE)
    passed = re.search(r"(\d+) passed", done.stdout)
    count = int(passed.group(1)) if passed else 0
    if done.returncode or count < FEWEST:
        print(done.stdout[-6000:])
        print(f"{count} tests passed, expected at least {FEWEST} and no failure")
        return 1
    print(f"openai {version('openai')}: {count} of its own API tests pass through the router")
    return 0


if __name__ == "__main__":
    sys.exit(main())
