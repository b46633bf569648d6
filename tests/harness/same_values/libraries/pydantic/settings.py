"""Settings read the environment when they are made: marvin #608."""

import os

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runner import Flow, task


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="till_", env_nested_delimiter="__")
    shop: str = "b"
    limits: dict[str, int] = {}
    token: SecretStr = Field(default=SecretStr(""), validation_alias="till_token")


@task
def read():
    os.environ.update(TILL_SHOP="c", TILL_LIMITS__LOW="1")
    return Settings(), Settings(shop="d").limits


with Flow("settings") as flow:
    read()
