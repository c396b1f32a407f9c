"""The `aisys` command: what people type. Each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aisys.cli.run import run_command

app = typer.Typer(
    name="aisys",
    help="Runs a fleet of AI agents on one to a few machines as one system.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)
keys_app = typer.Typer(help="The keys that let machines connect.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")

ConfigDir = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration folder.", envvar="AISYS_CONFIG_DIR"),
]
Env = Annotated[
    str | None, typer.Option("--env", "-e", help="dev, staging, prod, or one of your own.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a setting: a.b=value. May be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait.", min=0.01)]


@app.command()
def up(
    machine: Annotated[
        str | None, typer.Option("--machine", "-m", help="Only this machine's part.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    as_json: AsJson = False,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Start the fleet and supervise it; Ctrl-C stops it."""
    from aisys.cli import up as command

    run_command(
        lambda options: command.up(options, machine=machine, detach=detach, as_json=as_json),
        config,
        env,
        overrides,
    )


@app.command()
def down(
    machine: Annotated[
        str | None, typer.Option("--machine", "-m", help="Only this machine's part.")
    ] = None,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Stop the fleet that runs on this computer."""
    from aisys.cli import up as command

    run_command(lambda options: command.down(options, machine=machine), config, env, overrides)


@app.command()
def status(
    as_json: AsJson = False, config: ConfigDir = None, env: Env = None, overrides: Set = None
) -> None:
    """What runs where, and how it does."""
    from aisys.cli import status as command

    run_command(lambda options: command.status(options, as_json=as_json), config, env, overrides)


@app.command()
def restart(
    name: Annotated[str, typer.Argument(help="An agent, or a host as machine/name.")],
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Drain one host and start it again; returns when it is ready."""
    from aisys.cli import status as command

    run_command(lambda options: command.restart(options, name), config, env, overrides)


@app.command()
def ports(
    as_json: AsJson = False, config: ConfigDir = None, env: Env = None, overrides: Set = None
) -> None:
    """Every port of the fleet, with the offset."""
    from aisys.cli import ports as command

    run_command(lambda options: command.ports(options, as_json=as_json), config, env, overrides)


@app.command(context_settings={"ignore_unknown_options": True})
def ask(
    question: Annotated[str, typer.Argument(help="What to say to the assistant.")],
    trace: Annotated[
        bool, typer.Option("--trace", help="Show the hops: agent, machine, milliseconds.")
    ] = False,
    user: Annotated[str, typer.Option("--user", help="Who is asking.")] = "default",
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Ask the assistant one thing and print the answer."""
    from aisys.cli import ask as command

    run_command(
        lambda options: command.ask(
            options, question, trace=trace, user=user, timeout_s=timeout_s, as_json=as_json
        ),
        config,
        env,
        overrides,
    )


@app.command()
def chat(
    user: Annotated[str, typer.Option("--user", help="Who is talking.")] = "default",
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Talk to the assistant; reminders come by themselves."""
    from aisys.cli import chat as command

    run_command(lambda options: command.chat(options, user=user), config, env, overrides)


@app.command()
def call(
    target: Annotated[str, typer.Argument(metavar="AGENT.METHOD")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each item of a streamed reply.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Show the hops: agent, machine, milliseconds.")
    ] = False,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Call any method of any agent."""
    from aisys.cli import call as command

    run_command(
        lambda options: command.call(
            options,
            target,
            arguments or [],
            stream=stream,
            trace=trace,
            timeout_s=timeout_s,
            as_json=as_json,
        ),
        config,
        env,
        overrides,
    )


@app.command()
def errors(
    agent: Annotated[str | None, typer.Option("--agent", help="Only of this agent.")] = None,
    machine: Annotated[str | None, typer.Option("--machine", help="Only of this machine.")] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", help="critical, high, medium, low or info.")
    ] = None,
    since_s: Annotated[
        float | None, typer.Option("--since", help="Only of the last so many seconds.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=10_000)] = 50,
    as_json: AsJson = False,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """The latest error reports of all machines."""
    from aisys.cli import errors as command

    run_command(
        lambda options: command.errors(
            options,
            agent=agent,
            machine=machine,
            severity=severity,
            since_s=since_s,
            limit=limit,
            as_json=as_json,
        ),
        config,
        env,
        overrides,
    )


@app.command()
def version() -> None:
    """The version and how it was built."""
    from aisys.cli import version as command

    command.version()


@config_app.command("check")
def config_check(config: ConfigDir = None, env: Env = None, overrides: Set = None) -> None:
    """Validate everything and say what is wrong, all at once."""
    from aisys.cli import config as command

    run_command(command.check, config, env, overrides)


@config_app.command("show")
def config_show(
    agent: Annotated[str | None, typer.Argument(help="Only this agent's part.")] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say which file and line set each value.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """The merged configuration."""
    from aisys.cli import config as command

    run_command(
        lambda options: command.show_config(options, agent=agent, origin=origin, as_json=as_json),
        config,
        env,
        overrides,
    )


@keys_app.command("init")
def keys_init(
    machine: Annotated[
        str | None, typer.Option("--machine", "-m", help="Only for this machine.")
    ] = None,
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Make the key pairs that are missing."""
    from aisys.cli import keys as command

    run_command(lambda options: command.init(options, machine=machine), config, env, overrides)


@keys_app.command("show")
def keys_show(
    as_json: AsJson = False, config: ConfigDir = None, env: Env = None, overrides: Set = None
) -> None:
    """The public keys that may connect."""
    from aisys.cli import keys as command

    run_command(lambda options: command.show_all(options, as_json=as_json), config, env, overrides)


@keys_app.command("add")
def keys_add(
    machine: Annotated[str, typer.Argument(help="The machine the key belongs to.")],
    key: Annotated[
        str, typer.Argument(help="Its public key, as `aisys keys show` prints it there.")
    ],
    config: ConfigDir = None,
    env: Env = None,
    overrides: Set = None,
) -> None:
    """Let another machine connect."""
    from aisys.cli import keys as command

    run_command(lambda options: command.add(options, machine, key), config, env, overrides)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
