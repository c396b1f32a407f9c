"""The present moment in the time zone of the person."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["local_now", "moment_at"]


def local_now(seconds: float, timezone: str = "") -> datetime:
    """A moment as a local date and time.

    Args:
        seconds: seconds since the epoch.
        timezone: an IANA name such as `Asia/Manila`; the computer's own zone when empty.

    Raises:
        ValueError: there is no such time zone.
    """
    if not timezone:
        return datetime.fromtimestamp(seconds).astimezone()
    try:
        return datetime.fromtimestamp(seconds, ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"no time zone {timezone!r}: use a name such as Asia/Manila") from error


def moment_at(seconds: float, now: datetime) -> str:
    """A moment for people, seen from now: `18:00`, `tomorrow at 07:00`, `Friday 27 November at 12:00`."""
    at = datetime.fromtimestamp(seconds, now.tzinfo)
    days = (at.date() - now.date()).days
    if days == 0:
        return f"at {at:%H:%M:%S}" if abs(seconds - now.timestamp()) < 120 else f"at {at:%H:%M}"
    if days == 1:
        return f"tomorrow at {at:%H:%M}"
    year = f" {at.year}" if at.year != now.year else ""
    return f"on {at:%A}, {at.day} {at:%B}{year} at {at:%H:%M}"
