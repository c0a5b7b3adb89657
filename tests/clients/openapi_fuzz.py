"""schemathesis over the router's own OpenAPI document: no 5xx, no hang, and JSON as the document says, errors included.

    python openapi_fuzz.py ROUTER_URL EMULATOR_URL

The document names what routing reads; everything else in the requests is made up. That nothing invalid is accepted is not
asked: what routing does not read is the model's to judge.
"""

import re
import subprocess
import sys
import tempfile
from importlib.metadata import version

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,response_headers_conformance"
CHECKS += ",status_code_conformance,unsupported_method"
OPERATIONS = ["createChatCompletion", "createResponse", "createEmbedding", "listModels", "retrieveModel", "explainRoute"]
OPERATIONS += ["retrieveResponse", "deleteResponse", "cancelResponse", "listInputItems"]


def main(router, _emulator):
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{router}/openapi.json", "--url", router]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1"]
    command += ["--request-timeout", "20", "--continue-on-failure", "--warnings", "off", "--no-color"]
    for operation in OPERATIONS:
        command += ["--include-operation-id", operation]
    # It keeps notes of its runs where it stands; each run here shall be the first.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    counted = re.search(r"(\d+) generated", done.stdout)
    if done.returncode != 0 or not counted:
        print(done.stdout[-12000:])
        return 1
    print(f"schemathesis {version('schemathesis')}: {counted.group(1)} requests to {len(OPERATIONS)} operations, no fault")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
