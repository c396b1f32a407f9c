"""What may stand in a configuration file: the pydantic models, which are also the schema."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from aisys.config.secrets import PREFIX, Secret, is_secret_name

_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")

Name = Annotated[str, Field(pattern=_NAME_PATTERN)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1, le=1 << 46)]


class _SecretAnnotation:
    """How pydantic reads and writes a `Secret`: from a text, never back to its value."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls._build,
            core_schema.str_schema(min_length=1),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "format": "password"}

    @staticmethod
    def _build(text: str) -> Secret:
        if text.startswith(PREFIX) and not is_secret_name(text[len(PREFIX) :]):
            raise ValueError("after `secret:` comes a name of letters, digits, _ . -")
        return Secret(text)


SecretText = Annotated[Secret, _SecretAnnotation]


class Section(BaseModel):
    """What all sections share: unknown keys are errors, types are not guessed, values are final."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, validate_default=False
    )


class RestartSettings(Section):
    """When a host that died is started again."""

    max_restarts: int = Field(
        default=5, ge=0, le=1000, description="Restarts allowed within the window."
    )
    window_s: Seconds = Field(default=60.0, description="Length of the window in seconds.")
    backoff_s: Seconds = Field(default=0.2, description="Wait before the first restart in seconds.")
    backoff_max_s: Seconds = Field(
        default=30.0, description="Longest wait before a restart in seconds."
    )


class LimitSettings(Section):
    """Bounds of one host."""

    max_frame_bytes: Bytes = Field(
        default=16 << 20, ge=1024, description="Largest message on a link."
    )
    memory_bytes: Bytes = Field(default=512 << 20, description="Memory a host may plan to use.")
    max_waiting: int = Field(default=10_000, ge=1, description="Calls that may wait for one agent.")
    spool_bytes: Bytes = Field(
        default=64 << 20, description="Error reports kept until they are delivered."
    )


class StateSettings(Section):
    """Where agents keep what must survive."""

    backend: Literal["file", "memory", "redis"] = Field(
        default="file", description="Kind of store."
    )
    redis_url: SecretText | None = Field(
        default=None,
        description="URL of the Redis server when the backend is redis; may be `secret:NAME`.",
    )


class LlmSettings(Section):
    """The OpenAI-compatible endpoint, if there is one."""

    url: str | None = Field(
        default=None, description="Base URL, such as http://127.0.0.1:11434/v1. None: no model."
    )
    model: str | None = Field(default=None, description="Model name to ask for.")
    key: SecretText | None = Field(default=None, description="API key, as `secret:NAME`.")
    timeout_s: Seconds = Field(default=60.0, description="Limit of one request in seconds.")

    @field_validator("url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^\s/]+", value):
            raise ValueError("must start with http:// or https:// and name a host")
        return value


class SecuritySettings(Section):
    """Who may connect."""

    curve: bool = Field(
        default=True, description="Encrypt and authenticate links between machines."
    )
    keys_dir: Annotated[Path, Field(strict=False)] | None = Field(
        default=None,
        description="Folder of the fleet keys; relative to the configuration folder. "
        "Default: `keys` in the data folder.",
    )


class LogSettings(Section):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level."
    )
    json_lines: bool = Field(
        default=True, description="One JSON object a line instead of plain text."
    )


class MetricSettings(Section):
    """Whether measurements are served."""

    enabled: bool = Field(
        default=True, description="Serve Prometheus text on the machine's metrics_port."
    )


class TracingSettings(Section):
    """How much is traced."""

    sample_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of calls whose trace is kept.",
    )


class FleetSettings(Section):
    """Settings of the fleet as a whole."""

    port_offset: int = Field(
        default=0, ge=0, le=64000, description="Added to every port of the fleet."
    )
    debug: bool = Field(default=False, description="Extra checks and details; refused in prod.")
    call_timeout_s: Seconds = Field(default=30.0, description="Deadline of a call that names none.")
    heartbeat_s: Seconds = Field(default=1.0, description="Time between heartbeats on a link.")
    lease_s: Seconds = Field(
        default=3.0, description="How long a registration holds without renewal."
    )
    ready_timeout_s: Seconds = Field(default=30.0, description="Time a host has to become ready.")
    stop_grace_s: Seconds = Field(default=10.0, description="Time a host has to stop by itself.")
    restart: RestartSettings = RestartSettings()
    limits: LimitSettings = LimitSettings()
    state: StateSettings = StateSettings()
    llm: LlmSettings = LlmSettings()
    security: SecuritySettings = SecuritySettings()
    logs: LogSettings = LogSettings()
    metrics: MetricSettings = MetricSettings()
    tracing: TracingSettings = TracingSettings()


class MachineInput(Section):
    """A machine as a file gives it."""

    address: str = Field(
        default="127.0.0.1", description="IP address or host name other machines use."
    )
    control_port: Port = Field(description="Port of the machine's supervisor.")
    metrics_port: Port = Field(description="Port of the machine's Prometheus endpoint.")

    @field_validator("address")
    @classmethod
    def _reachable(cls, value: str) -> str:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            labels = value.split(".")
            if len(value) > 253 or not all(_HOST_LABEL.match(label) for label in labels):
                raise ValueError("is neither an IP address nor a host name") from None
            if labels[-1].isdigit():
                raise ValueError("is not a complete IP address") from None
            return value
        if address.is_unspecified or address.is_multicast:
            raise ValueError("must be an address that other machines can connect to")
        return value


class SharedPlace(Section):
    """A place in a host with other agents."""

    shared: Name = Field(description="Name of the host.")


class AgentInput(Section):
    """An agent as a file gives it."""

    machine: Name = Field(description="Machine it runs on.")
    port: Port = Field(description="Its port, before port_offset.")
    group: Name = Field(description="Domain it belongs to.")
    required: bool = Field(default=True, description="Whether the fleet is unhealthy without it.")
    requires: list[Name] = Field(default=[], description="Agents that start before it.")
    status: Literal["built", "planned"] = Field(
        default="planned", description="Whether its class exists."
    )
    place: Literal["own"] | SharedPlace = Field(
        default="own", description="`own`: a process of its own. `{shared: NAME}`: one with others."
    )
    restart: Literal["permanent", "transient", "temporary"] = Field(
        default="permanent", description="Start again always, only after a failure, or never."
    )
    priority: int = Field(
        default=100, ge=0, le=255, description="Lower starts first within a wave."
    )
    settings: dict[str, Any] = Field(default={}, description="For the agent's own Config class.")


class ConfigFile(FleetSettings):
    """Any file of the configuration folder: all have the same shape and each sets what it wants."""

    name: Name = Field(description="Name of the fleet.")
    machines: dict[Name, MachineInput] = Field(default={}, description="Machines by name.")
    agents: dict[Name, AgentInput] = Field(default={}, description="Agents by name.")
