"""Configuration of a command: `--config` and the environment, which only this file reads."""

import os
from argparse import Namespace

from proxy.cli.console import CommandFailed
from proxy.config.loader import ConfigLoader
from proxy.config.schema import Config, ConfigError


def config_loader(options: Namespace) -> ConfigLoader:
    """Reads the configuration as often as it changes."""
    return ConfigLoader(options.config, os.environ)


def read_config(loader: ConfigLoader) -> Config:
    """The configuration; CommandFailed names every fault."""
    try:
        return loader.load()
    except ConfigError as error:
        raise CommandFailed(str(error), 2) from None
