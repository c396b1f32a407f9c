"""`aisys ports`: every port of the fleet."""

from __future__ import annotations

from dataclasses import asdict

from aisys.cli.run import show_json
from aisys.config import PortRegistry
from aisys.runtime.options import Options


def ports(options: Options, *, as_json: bool) -> int:
    """List the ports."""
    fleet = options.load()
    entries = PortRegistry(fleet).listing()
    if as_json:
        show_json([asdict(entry) for entry in entries])
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("port", "name", "machine", "address", "kind", "status"):
        table.add_column(column, justify="right" if column == "port" else "left")
    for entry in sorted(entries, key=lambda entry: entry.port):
        table.add_row(
            str(entry.port), entry.name, entry.machine, entry.address, entry.kind, entry.status
        )
    Console(highlight=False).print(table)
    return 0
