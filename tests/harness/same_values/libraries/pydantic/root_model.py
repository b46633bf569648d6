"""A model of one value is given on: pydantic #9925."""

from pydantic import BaseModel, RootModel

from runner import Flow, task


class Tag(BaseModel):
    name: str


class Tags(RootModel[list[Tag]]):
    def __iter__(self):
        return iter(self.root)

    def __getitem__(self, index):
        return self.root[index]


@task
def tagged():
    return Tags.model_validate([{"name": "a"}, {"name": "b"}])


@task
def names(tags):
    return [tag.name for tag in tags], tags[0], tags.model_dump_json()


with Flow("root model") as flow:
    names(tagged())
