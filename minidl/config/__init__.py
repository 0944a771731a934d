"""Config: receives a TOML file and what the command line sets, returns a validated :class:`Config`.

Everything that is wrong with a file is told at once, each with its line and column. Every default
is filled in, and :meth:`Config.to_toml` is itself a valid config. Local plugin files are loaded
here, before what they declare is looked up.
"""

from minidl.config.json_schema import json_schema
from minidl.config.loading import ENVIRONMENT, config_from_dict, load_config, parse_config
from minidl.config.overrides import Override, parse_override
from minidl.config.plugins import Plugin, copy_plugins, load_plugin, load_plugins
from minidl.config.schema import Config, DataConfig, ModelConfig, TrainingConfig

__all__ = [
    "ENVIRONMENT",
    "Config",
    "DataConfig",
    "ModelConfig",
    "Override",
    "Plugin",
    "TrainingConfig",
    "config_from_dict",
    "copy_plugins",
    "json_schema",
    "load_config",
    "load_plugin",
    "load_plugins",
    "parse_config",
    "parse_override",
]
