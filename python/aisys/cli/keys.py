"""`aisys keys`: who may connect."""

from __future__ import annotations

from aisys.cli.run import say, show, show_json
from aisys.messaging.keys import add_public_key
from aisys.runtime.options import Options
from aisys.runtime.places import Places, ensure_keys, is_simulated, known_machines


def init(options: Options, *, machine: str | None) -> int:
    """Make the missing key pairs of one machine, or of all when the fleet is on this computer."""
    fleet = options.load()
    places = Places.of(fleet)
    if machine is None and not is_simulated(fleet):
        say("aisys: the machines are different computers: name this one with --machine")
        return 2
    for name in known_machines(fleet, machine):
        ring = ensure_keys(places, name)
        show(f"{name}  {ring.public(name)}")
    say(f"the keys are in {places.keys}")
    return 0


def show_keys(options: Options) -> dict[str, str]:
    """Machine to public key, as far as they are known here."""
    directory = Places.of(options.load()).keys
    return {path.stem: path.read_text().strip() for path in sorted(directory.glob("*.public"))}


def show_all(options: Options, *, as_json: bool) -> int:
    """Print the public keys."""
    keys = show_keys(options)
    if as_json:
        show_json(keys)
    for name, key in keys.items() if not as_json else ():
        show(f"{name}  {key}")
    return 0


def add(options: Options, machine: str, key: str) -> int:
    """Allow the key of another machine."""
    fleet = options.load()
    known_machines(fleet, machine)
    add_public_key(Places.of(fleet).keys, machine, key)
    say(f"{machine} may connect with {key}")
    return 0
