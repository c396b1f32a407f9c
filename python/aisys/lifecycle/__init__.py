"""Ordered start and stop."""

from aisys.lifecycle.lifecycle import Lifecycle as Lifecycle
from aisys.lifecycle.lifecycle import StepError as StepError

__all__ = ["Lifecycle", "StepError"]
