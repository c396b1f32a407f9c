"""What an agent is made of, and what runs it: decorators, proxies, calls, life cycle."""

from aisys.agent.base import Agent as Agent
from aisys.agent.caller import Caller as Caller
from aisys.agent.caller import CallOptions as CallOptions
from aisys.agent.context import AgentContext as AgentContext
from aisys.agent.dispatcher import Dispatcher as Dispatcher
from aisys.agent.events import Event as Event
from aisys.agent.events import EventError as EventError
from aisys.agent.health import Health as Health
from aisys.agent.local import AgentTable as AgentTable
from aisys.agent.local import LocalAgent as LocalAgent
from aisys.agent.markers import every as every
from aisys.agent.markers import method as method
from aisys.agent.markers import subscribe as subscribe
from aisys.agent.names import find_class as find_class
from aisys.agent.names import load_class as load_class
from aisys.agent.ports import ErrorReporter as ErrorReporter
from aisys.agent.ports import Publisher as Publisher
from aisys.agent.ports import RemoteCaller as RemoteCaller
from aisys.agent.ports import Routes as Routes
from aisys.agent.ports import Subscription as Subscription
from aisys.agent.ports import TaskQueue as TaskQueue
from aisys.agent.proxy import Proxy as Proxy
from aisys.agent.proxy import Stream as Stream
from aisys.agent.runner import AgentRunner as AgentRunner
from aisys.agent.spec import AgentSpec as AgentSpec
from aisys.agent.spec import MethodSpec as MethodSpec
from aisys.agent.tasks import task as task

__all__ = [
    "Agent",
    "AgentContext",
    "AgentRunner",
    "AgentSpec",
    "AgentTable",
    "CallOptions",
    "Caller",
    "Dispatcher",
    "ErrorReporter",
    "Event",
    "EventError",
    "Health",
    "LocalAgent",
    "MethodSpec",
    "Proxy",
    "Publisher",
    "RemoteCaller",
    "Routes",
    "Stream",
    "Subscription",
    "TaskQueue",
    "every",
    "find_class",
    "load_class",
    "method",
    "subscribe",
    "task",
]
