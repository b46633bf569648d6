"""Fields of dataclasses keep defaults, factories and metadata: cloudpickle #424."""

from dataclasses import InitVar, asdict, dataclass, field, fields

from runner import Flow, task


@dataclass(order=True)
class Range:
    start: int
    end: int = field(default=9, metadata={"unit": "m"}, compare=False)
    tags: list = field(default_factory=list, repr=False)
    scale: InitVar[int] = 1

    def __post_init__(self, scale):
        self.start *= scale


@task
def told():
    value = Range(1, scale=3)
    names = [(each.name, each.metadata.get("unit")) for each in fields(Range)]
    return value, asdict(value), names, Range(1) < Range(2, 0), Range.__match_args__


with Flow("dataclass fields") as flow:
    told()
