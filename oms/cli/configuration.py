"""`oms config`: what the configuration says."""

from pathlib import Path

import click

from oms.config import dump_config, load_config


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), envvar="OMS_CONFIG")
@click.option("--show", is_flag=True, help="Print the whole configuration, defaults included.")
def check(file: Path | None, show: bool) -> None:
    """Check a configuration file, and say what is wrong with it and where.

    \b
    oms config check configs/config.yaml
    oms config check --show                   the built-in defaults
    """
    loaded = load_config(file)
    if show:
        click.echo(dump_config(loaded), nl=False)
    else:
        click.echo(
            f"{file or 'the built-in configuration'} is good: accounts {', '.join(loaded.accounts)}"
            f" on {', '.join(loaded.venues)}{' (simulated)' if loaded.simulator.enabled else ''}"
        )
