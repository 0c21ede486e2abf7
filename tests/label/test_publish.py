"""Push to a hub on the loopback: private, one commit, card as README."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.errors import HarnessError
from harness.label.publish import check_repository

pytestmark = pytest.mark.slow

PUSH = """
import sys
from pathlib import Path
from harness.errors import HarnessError
from harness.label.publish import check_repository, publish
try:
    check_repository("owner/name")
    print(publish({"labels.parquet": Path("labels.parquet"), "README.md": Path("labels.md")}, "owner/name"))
except HarnessError as error:
    print(error)
    sys.exit(2)
"""


class Hub(ThreadingHTTPServer):
    """A hub that keeps what is pushed.

    `created` is {name: settings}, `committed` {file: content}.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.created, self.committed, self.refusing = {}, {}, False
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.server.refusing:
            return self.answer({"error": "You may not"}, 403)
        if self.path == "/api/repos/create":
            settings = json.loads(body)
            self.server.created[f"{settings['organization']}/{settings['name']}"] = settings
            return self.answer({"url": "https://huggingface.co/datasets/owner/name"})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return self.answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.committed[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.answer(
                {
                    "success": True,
                    "commitUrl": "https://huggingface.co/datasets/owner/name/commit/1",
                    "commitOid": "1" * 40,
                }
            )
        return self.answer({"errors": [], "warnings": []})

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub():
    with Hub() as server:
        yield server
        server.shutdown()


def push(folder, hub, **more):
    (folder / "labels.parquet").write_bytes(b"PAR1 and so on")
    (folder / "labels.md").write_text("---\nlicense: unknown\n---\n\n# labels\n")
    env = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(folder), "HF_TOKEN": "hf_mine"} | more
    command = [sys.executable, "-c", PUSH]
    return subprocess.run(command, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=120)


def test_labels_and_card_become_one_private_data_set(tmp_path, hub):
    done = push(tmp_path, hub)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("/datasets/owner/name")
    assert hub.created["owner/name"]["type"] == "dataset"
    settings = hub.created["owner/name"]
    assert settings.get("private") is True or settings.get("visibility") == "private"  # older and newer libraries
    assert hub.committed["labels.parquet"] == b"PAR1 and so on"
    assert hub.committed["README.md"].startswith(b"---\nlicense")


def test_a_refusal_of_the_hub_is_one_line(tmp_path, hub):
    hub.refusing = True
    done = push(tmp_path, hub)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("--push owner/name: ")
    assert not hub.committed


def test_without_a_login_nothing_is_pushed(tmp_path, hub):
    done = push(tmp_path, hub, HF_TOKEN="")
    assert done.returncode == 2
    assert "nobody is logged in" in done.stdout


def test_a_name_that_is_none_is_refused():
    with pytest.raises(HarnessError, match="must be OWNER/NAME"):
        check_repository("labels")
