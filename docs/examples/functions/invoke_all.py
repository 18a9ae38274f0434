"""Create the functions of this folder at a cluster, invoke each once cold and once warm, and print what they answered.

python3 docs/examples/functions/invoke_all.py http://127.0.0.1:3233 me:secret
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).parent
LAYER = {"annotations": [{"key": "layers", "value": ["packages"]}]}
OPENCV = {"annotations": [{"key": "layers", "value": ["opencv"]}]}
FRAME = base64.b64encode((FOLDER.parent / "cameras" / "frames" / "frame-3.jpg").read_bytes()).decode()
FUNCTIONS = {
    "thumbnail": ("thumbnail.py", "python:3", LAYER, {"width": 64, "height": 64}),
    "compression": ("compression.py", "python:3", {}, {"algorithm": "lzma"}),
    "graph-ranking": ("graph_ranking.py", "python:3", LAYER, {"nodes": 500}),
    "words": ("words.js", "nodejs:default", {}, {"text": "what travels is the function, not the data"}),
    "object-detection": ("object_detection.py", "python:3", OPENCV, {"image": FRAME}),
}


def ask(method, path, body=None):
    """Return what the API answers."""
    request = urllib.request.Request(f"{apihost}/api/v1{path}", json.dumps(body or {}).encode(), method=method)
    request.add_header("Authorization", f"Basic {base64.b64encode(auth.encode()).decode()}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=90) as response:
        return json.load(response)


def invoke_all():
    """Create and invoke all whose runtime and layer the cluster has."""
    kinds = {item["kind"] for runtimes in ask("GET", "")["runtimes"].values() for item in runtimes}
    for name, (file, kind, more, parameters) in FUNCTIONS.items():
        if kind not in kinds:
            print(f"{name}: left out, for the cluster has no {kind}")
            continue
        code = (FOLDER / file).read_text(encoding="utf-8")
        path = f"/namespaces/_/actions/{name}"
        try:
            ask("PUT", f"{path}?overwrite=true", {"exec": {"kind": kind, "code": code}, **more})
        except urllib.error.HTTPError as error:
            print(f"{name}: left out, for the cluster says: {json.load(error)['error']}")
            continue
        for _ in range(2):
            activation = ask("POST", f"{path}?blocking=true", parameters)
            noted = {item["key"]: item["value"] for item in activation["annotations"]}
            took = f"{noted['start']}, waited {noted['waitTime']} ms, took {activation['duration']} ms"
            print(f"{name}: {took}: {json.dumps(activation['response']['result'])[:120]}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} APIHOST UUID:KEY")
    apihost, auth = sys.argv[1:]
    invoke_all()
