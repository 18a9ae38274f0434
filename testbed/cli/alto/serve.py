"""`dyncast alto serve`: an ALTO server alone, on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.options import CommandError


def serve(
    topology: Annotated[
        str,
        typer.Argument(metavar="TOPOLOGY|SCENARIO", help="Catalogue name, or a YAML file of a topology or scenario."),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0: any that is free.")] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="HTTPS, with a certificate of an authority made for it.")] = False,
    cert: Annotated[Path | None, typer.Option(help="HTTPS with this certificate, PEM; with --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of the certificate, PEM.")] = None,
    cacert_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --tls: where the authority's certificate is written.")
    ] = None,
    auth: Annotated[
        list[str], typer.Option(metavar="USER:PASSWORD", help="Who may ask, by Basic or Digest; default: everybody.")
    ] = [],
    script: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Costs that change over time.")] = None,
) -> None:
    """Serve ALTO on loopback, over what a topology says: without root, and without a network.

    The first line of its output is the URL of the directory. It ends by Ctrl-C or SIGTERM. A PID is a site or a router;
    costs are routingcost, hopcount and delay-ow along the paths that packets take. A script changes them:

    \b
      - {at_s: 5, cost-map: delay-ow-numerical, from: Chicago, to: Denver, cost: 90000}

    \b
    Examples:
      dyncast alto serve sndlib/abilene --port 8080
      dyncast alto serve sndlib/abilene --tls --cacert-out ca.pem --auth me:secret
      dyncast alto serve docs/examples/first.yaml --script changes.yaml
    More: docs/alto/serve.md.
    """
    from testbed.cli.alto import serve_alone

    if (cert is None) != (key is None) or (tls and cert is not None):
        raise CommandError("say --tls, or --cert and --key, or none of them")
    if cacert_out is not None and not tls:
        raise CommandError("--cacert-out goes with --tls")
    raise typer.Exit(serve_alone.run(topology, port, tls, cert, key, cacert_out, _users(auth), script))


def _users(auth: list[str]) -> dict[str, str]:
    users = {}
    for text in auth:
        user, colon, password = text.partition(":")
        if not user or not colon or not password:
            raise CommandError("--auth must be USER:PASSWORD")
        if user in users:
            raise CommandError(f"--auth {user}:… stands twice; a user has one password")
        users[user] = password
    return users
