"""`dyncast alto get`: what an ALTO server says, as tables or as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.options import AsJson, CommandError


def get(
    url: Annotated[str, typer.Argument(metavar="URL", help="URL of the server's directory.")],
    resource: Annotated[str | None, typer.Argument(help="ID of a resource; none: list all that there are.")] = None,
    filters: Annotated[
        list[str],
        typer.Option("--filter", metavar="KEY=VALUE", help="What of it: see below; say it as often as needed."),
    ] = [],
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with each update that the server sends.")] = False,
    updates: Annotated[int | None, typer.Option(min=1, help="With --follow: end after so many versions.")] = None,
    cacert: Annotated[Path | None, typer.Option(help="Certificate of the authority to trust, PEM.")] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME:PASSWORD", help="Who asks, by Digest.")] = None,
) -> None:
    """Ask an ALTO server: list its resources, or print one.

    Keys of filters; values are separated by commas:

    \b
      pids=PID,…          of a network map          types=ipv4,ipv6     its address types
      src=PID,…  dst=…    of costs; endpoints of endpoint costs: ipv4:10.1.0.10
      cost=delay-ow       cost type; ranks: cost=delay-ow/ordinal; several: cost=hopcount,delay-ow
      where='le 2000'     only costs that meet it; of the second of several: where='[1] le 3'
      endpoints=ipv4:…    whose properties          properties=net.pid  which
      entities=net.pid:…  of a property map         properties=.kind    which

    A resource that is served whole is asked for where the server filters it.

    \b
    Examples:
      dyncast alto get http://127.0.0.1:8080/directory
      dyncast alto get http://127.0.0.1:8080/directory delay-ow-numerical --filter src=ATLAng,CHINng
      dyncast alto get http://127.0.0.1:8080/directory endpoint-costs --filter dst=ipv4:172.31.0.2
      dyncast alto get http://127.0.0.1:8080/directory delay-ow-numerical --follow
    More: docs/alto/serve.md.
    """
    from testbed.cli.alto import asking
    from testbed.cli.alto import filters as reading

    if resource is None and (filters or follow):
        raise CommandError("--filter and --follow are of a resource: name it after the URL")
    if updates is not None and not follow:
        raise CommandError("--updates goes with --follow")
    question = asking.Question(url, resource, reading.parse(filters), as_json, follow, updates)
    raise typer.Exit(asking.run(question, cacert, reading.user(user)))
