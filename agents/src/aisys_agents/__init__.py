"""The reference fleet of aisys: a local voice assistant as many small agents on two machines."""

from pathlib import Path

__all__ = ["config_dir"]


def config_dir() -> Path:
    """The folder with the fleet's configuration: the copy in the wheel, or the checkout's."""
    package = Path(__file__).resolve().parent
    packed = package / "_config"
    return packed if packed.is_dir() else package.parents[2] / "config"
