"""Computed fields, private attributes and settings: pydantic #9369."""

from functools import cached_property

from pydantic import BaseModel, ConfigDict, PrivateAttr, computed_field

from runner import Flow, task


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")
    host: str = "a"
    _calls: list[str] = PrivateAttr(default_factory=list)

    @computed_field
    @cached_property
    def url(self) -> str:
        self._calls.append(self.host)
        return f"http://{self.host}"


SETTINGS = Settings(port=1)


@task
def urls():
    return SETTINGS.url, SETTINGS.url, SETTINGS._calls, SETTINGS.model_extra, hash(Settings()) == hash(Settings())


with Flow("computed fields") as flow:
    urls()
