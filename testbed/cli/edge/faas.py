"""`dyncast faas`: one edge computing cluster alone, on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.options import CommandError

_SANDBOX_HELP = "In what functions are locked up: auto, oci (crun, runc), process (bwrap), or one of these names."


def faas(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0: any that is free.")] = 3233,
    sandbox: Annotated[str, typer.Option(help=_SANDBOX_HELP)] = "auto",
    auth: Annotated[str | None, typer.Option(metavar="UUID:KEY", help="What clients show (default: made up).")] = None,
    memory_mb: Annotated[int, typer.Option("--memory", min=32, help="Memory of all containers, MB.")] = 2048,
    slots: Annotated[int, typer.Option(min=1, help="How many containers there are at most.")] = 16,
    cpus: Annotated[float, typer.Option(min=0.01, help="Processors of one container.")] = 1.0,
    queue: Annotated[int, typer.Option(min=0, help="How many activations wait; more are refused.")] = 256,
    keep_alive_s: Annotated[
        float, typer.Option("--keep-alive", min=0.1, help="Unused containers stop after, s.")
    ] = 600,
    per_minute: Annotated[int, typer.Option("--rate", min=1, help="Activations admitted in a minute.")] = 6000,
    concurrent: Annotated[int, typer.Option(min=1, help="Activations admitted at once.")] = 200,
    prewarm: Annotated[
        list[str], typer.Option(metavar="KIND=COUNT", help="Containers of a runtime that wait for code.")
    ] = [],
    layer: Annotated[
        list[str], typer.Option(metavar="NAME=FOLDER", help="A folder that actions may ask for, read-only.")
    ] = [],
    store: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep delivered functions here (default: none are kept).")
    ] = None,
    store_mb: Annotated[int, typer.Option("--store-size", min=1, help="Delivered functions kept at most, MB.")] = 1024,
    fetches: Annotated[int, typer.Option(min=1, help="Parts of functions fetched at once.")] = 4,
    delivery_s: Annotated[float, typer.Option("--delivery", min=0.1, help="Deliveries fail after, s.")] = 600,
) -> None:
    """Serve one edge computing cluster on loopback: a FaaS platform with the REST API of Apache OpenWhisk.

    The first line of its output is what clients of the platform want: apihost=… auth=…. It ends by Ctrl-C or SIGTERM,
    and leaves nothing behind. Functions run in containers of an OCI runtime (crun or runc), else as sandboxed processes
    (bwrap). Without root they are sandboxed processes, and neither memory nor CPU is limited. Functions are created by
    requests, or delivered from a repository by their digests.

    \b
    Examples:
      sudo ./dyncast faas --port 3233 --auth me:secret
      curl -u me:secret -X PUT -H 'Content-Type: application/json' \\
        -d '{"exec": {"kind": "python:3", "code": "def main(args): return {\\"hello\\": args}"}}' \\
        http://127.0.0.1:3233/api/v1/namespaces/_/actions/hello
      curl -u me:secret -X POST -H 'Content-Type: application/json' -d '{"name": "edge"}' \\
        'http://127.0.0.1:3233/api/v1/namespaces/_/actions/hello?blocking=true&result=true'
    More: docs/faas.md.
    """
    from testbed.cli.edge import faas_alone

    settings = faas_alone.Settings(
        port=port,
        sandbox=sandbox,
        auth=auth,
        memory_mb=memory_mb,
        slots=slots,
        cpus=cpus,
        queue=queue,
        keep_alive_s=keep_alive_s,
        per_minute=per_minute,
        concurrent=concurrent,
        prewarmed={kind: _count(kind, count) for kind, count in _pairs("--prewarm", prewarm, "KIND=COUNT")},
        layers={name: Path(folder).resolve() for name, folder in _pairs("--layer", layer, "NAME=FOLDER")},
        store=None if store is None else store.resolve(),
        store_mb=store_mb,
        fetches=fetches,
        delivery_s=delivery_s,
    )
    raise typer.Exit(faas_alone.run(settings))


def _pairs(option: str, words: list[str], form: str) -> list[tuple[str, str]]:
    pairs = [word.partition("=") for word in words]
    for key, _, value in pairs:
        if not key or not value:
            raise CommandError(f"{option} must be {form}")
    return [(key, value) for key, _, value in pairs]


def _count(kind: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise CommandError(f"--prewarm {kind}={text[:20]}: the count must be an integer in 0..9999")
    return int(text)
