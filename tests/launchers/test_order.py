"""What a platform is asked for: image, variables, secrets, resources."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from runner import launchers
from runner.environments import LAUNCHER_KINDS, LocalEnvironment
from runner.errors import EnvironmentWrong, Incompatible, UsageError
from runner.launchers.base import make_launcher, object_name
from runner.launchers.local import Local
from runner.launchers.order import Launchable, Wishes, choose_image, make_order, options_of
from runner.settings import Settings
from support.command_line import assert_refused, run_command
from support.flows import publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from runner.launchers.base import Order
    from runner.schema.documents import Manifest
    from support.places import Place


def manifest(**more: Any) -> Manifest:
    made: Any = {
        "flow": {"name": "e t/l", "version": "2026-11-27t00-00-00-000000-00-00", "key": "etl/v"},
        "python": {"version": "3.12.4", "implementation": "cpython"},
        "requires": [],
        "parameters": [{"name": "day", "required": True}],
        "labels": [],
        "image": None,
        "secrets": ["DB_PASSWORD"],
        **more,
    }
    return made  # type: ignore[no-any-return]


def flow(scheme: str = "s3", **more: Any) -> Launchable:
    return Launchable(f"{scheme}://flows/etl/v", "0" * 64, scheme, manifest(**more))


def order(
    wishes: Wishes | None = None,
    environ: dict[str, str] | None = None,
    *,
    run_id: str = "r",
    needs_image: bool = True,
    **more: Any,
) -> Order:
    settings = Settings.from_environ(environ or {}, needs_location=False)
    wishes = wishes or Wishes(parameters={"day": 1})
    return make_order(flow(**more), wishes, settings, name="run-r-1", run_id=run_id, launch=1, needs_image=needs_image)


def requires(*names: str) -> list[dict[str, str]]:
    return [{"module": name, "distribution": name, "version": "1.0"} for name in names]


@pytest.mark.parametrize(
    ("scheme", "named", "image", "needs", "expected"),
    [
        ("s3", None, None, (), "org/runner:aws-py3.12"),
        ("gs", None, None, (), "org/runner:gcp-py3.12"),
        ("azure", None, None, (), "org/runner:azure-py3.12"),
        ("file", None, None, (), "org/runner:slim-py3.12"),
        ("file", None, None, ("boto3",), "org/runner:all_extras-py3.12"),
        ("s3", None, None, ("python_dateutil",), "org/runner:aws-py3.12"),
        ("s3", "team/etl:7", None, ("pandas",), "team/etl:7"),
        ("s3", "team/etl:7", "team/etl:8", ("pandas",), "team/etl:8"),
    ],
)
def test_the_image_is_what_was_asked_for_what_the_flow_names_or_what_fits(
    scheme: str, named: str | None, image: str | None, needs: tuple[str, ...], expected: str
) -> None:
    assert choose_image(flow(scheme, image=named, requires=requires(*needs)), image) == expected


def test_where_no_image_fits_what_would_is_told() -> None:
    with pytest.raises(Incompatible) as refused:
        choose_image(flow(requires=requires("pandas", "boto3")), None)
    told = str(refused.value)
    assert "FROM org/runner:aws-py" in told
    assert "pip install boto3==1.0 pandas==1.0" in told
    assert "--image" in told


@pytest.mark.parametrize(
    "image",
    [
        *("a b", "--privileged", "a\nb", "é", " ", "docker://team/etl:7", "team/Etl", "team/etl:", "etl@sha256:7"),
        *("https://me:hunter2@reg/x", "me:hunter2@reg.example.com/x:1"),
    ],
)
def test_what_is_no_images_name_is_refused_without_a_password_in_it(image: str) -> None:
    with pytest.raises(UsageError, match="is no image's name") as refused:
        order(Wishes(parameters={"day": 1}, image=image))
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize(
    "image",
    [
        "etl",
        "localhost:5000/team/etl:7",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/runner:aws-py3.11",
        "team/etl_2.x/b-c:V7.0-rc_1",
        f"reg.example.com/a__b@sha256:{'0' * 64}",
        f"sha256:{'a' * 64}",
        "[::1]:5000/x",
    ],
)
def test_images_have_tags_digests_and_registries(image: str) -> None:
    assert order(Wishes(parameters={"day": 1}, image=image)).image == image


def test_where_no_container_is_run_an_image_is_refused_and_none_is_written_down() -> None:
    assert order(needs_image=False, image="team/etl:7").image == ""
    with pytest.raises(UsageError, match=r"team/etl:8 is asked for.* Leave --image out"):
        order(Wishes(parameters={"day": 1}, image="team/etl:8"), needs_image=False)


def test_labels_are_such_as_every_platform_takes_whatever_the_run_is_called() -> None:
    labels = {"runner/flow": "e-t-l", "runner/run-id": "a" * 62, "runner/launch": "1"}
    assert order(run_id="a" * 62 + "._b").labels == labels


@pytest.mark.parametrize(
    ("kind", "given", "volume"),
    [
        (
            "kubernetes",
            {},
            {
                "template": {
                    "spec": {
                        "template": {
                            "spec": {
                                "containers": [
                                    {"name": "runner", "volumeMounts": [{"name": "nfs", "mountPath": "/srv"}]}
                                ],
                                "volumes": [{"name": "nfs", "nfs": {"server": "nfs", "path": "/srv"}}],
                            }
                        }
                    }
                }
            },
        ),
        (
            "ecs",
            {"subnets": ["subnet-1"], "region": "eu-central-1"},
            {"container_definition": {"mountPoints": [{"sourceVolume": "efs", "containerPath": "/srv"}]}},
        ),
        (
            "batch",
            {"job_queue": "spot", "region": "eu-central-1"},
            {"container_properties": {"mountPoints": [{"sourceVolume": "efs", "containerPath": "/srv"}]}},
        ),
    ],
)
def test_a_folder_as_storage_is_refused_where_a_container_has_no_volume_there(
    kind: str, given: dict[str, Any], volume: dict[str, Any]
) -> None:
    asked = order()
    asked = asked._replace(environ={**asked.environ, "RUNNER_LOCATION": "file:///srv/flows/etl/v"})
    launcher = launchers.launcher_class(kind)
    told = f"/srv/flows/etl is a folder of this machine, and the container on {kind} .*{next(iter(volume))}"
    with pytest.raises(EnvironmentWrong, match=told):
        make_launcher(launcher, given).render(asked)
    assert "/srv/flows/etl" in make_launcher(launcher, given | volume).render(asked)
    elsewhere = {**asked.environ, "RUNNER_RESULTS": "file:///tmp/results"}
    with pytest.raises(EnvironmentWrong, match="/tmp/results is a folder"):
        make_launcher(launcher, given | volume).render(asked._replace(environ=elsewhere))


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "..", "a b", ""])
def test_a_secret_is_no_path(name: str) -> None:
    with pytest.raises(UsageError, match="can be no secret's name"):
        order(Wishes(parameters={"day": 1}, secrets={name: "/a"}))


def test_a_variable_with_which_no_process_can_begin_is_refused() -> None:
    longest = 128 * 1024 - len("BIG=") - 1
    assert order(Wishes(parameters={"day": 1}, environ={"BIG": "x" * longest})).environ["BIG"]
    with pytest.raises(EnvironmentWrong, match=r"RUNNER_PARAMETERS takes 131,\d+ bytes"):
        order(Wishes(parameters={"day": "x" * longest}))


def test_the_flow_is_named_by_its_digest_and_the_run_by_its_id() -> None:
    environ = order().environ
    assert environ["RUNNER_LOCATION"] == "s3://flows/etl/v"
    assert environ["RUNNER_BUNDLE_SHA256"] == "0" * 64
    assert (environ["RUNNER_RUN_ID"], environ["RUNNER_LAUNCH"]) == ("r", "1")
    assert json.loads(environ["RUNNER_PARAMETERS"]) == {"day": 1}
    assert environ["RUNNER_SECRETS"] == "DB_PASSWORD"


def test_settings_of_this_process_hold_for_the_flow_but_not_its_places_and_secrets() -> None:
    here = {
        "RUNNER_EXECUTOR": "sequential",
        "RUNNER_TIMEOUT": "60",
        "RUNNER_MIN_VERSION": "2026-01-01",
        "RUNNER_RESULTS": "s3://results",
        "RUNNER_LOG_FORMAT": "text",
        "RUNNER_IMAGE": "this/one",
        "RUNNER_STORAGE": "s3",
        "AWS_SECRET_ACCESS_KEY": "hush",
    }
    asked = order(environ=here)
    assert {name: asked.environ.get(name) for name in here} == {
        **here,
        **dict.fromkeys(("RUNNER_LOG_FORMAT", "RUNNER_IMAGE", "RUNNER_STORAGE", "AWS_SECRET_ACCESS_KEY")),
    }
    assert asked.timeout == 60


def test_parameters_that_the_flow_does_not_take_are_refused_here() -> None:
    with pytest.raises(EnvironmentWrong, match="no parameter 'dya'"):
        order(Wishes(parameters={"day": 1, "dya": 2}))
    with pytest.raises(EnvironmentWrong, match="'day' is required"):
        order(Wishes())


@pytest.mark.parametrize("name", ["DB_PASSWORD", "AWS_CREDENTIALS", "RUNNER_SIGNING_KEY", "AWS_SECRET_ACCESS_KEY"])
def test_a_secret_is_no_plain_variable_unless_that_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is a secret"):
        order(Wishes(parameters={"day": 1}, environ={name: "hush"}))
    here = {name: "hush"} if not name.startswith("RUNNER") else {}
    if here:
        asked = order(Wishes(parameters={"day": 1}, plain=(name,)), here)
        assert asked.environ[name] == "hush"
    with pytest.raises(EnvironmentWrong, match="OTHER is to be passed on"):
        order(Wishes(parameters={"day": 1}, plain=("OTHER",)))


def test_references_are_named_as_secrets_of_the_run() -> None:
    asked = order(Wishes(parameters={"day": 1}, secrets={"AWS_CREDENTIALS": "ref", "RUNNER_SIGNING_KEY": "key"}))
    assert asked.secrets == {"AWS_CREDENTIALS": "ref", "RUNNER_SIGNING_KEY": "key"}
    assert asked.environ["RUNNER_SECRETS"] == "AWS_CREDENTIALS,DB_PASSWORD"


def test_resources_of_the_flow_are_taken_one_by_one_unless_others_are_asked_for() -> None:
    environment = LocalEnvironment(resources={"cpu": "0.5", "memory": "1.5Gi", "gpu": 1, "disk": "500M"}).record
    asked = order(Wishes(parameters={"day": 1}, resources={"memory": 1}), environment=environment)
    assert asked.resources == {"cpu": 0.5, "memory": 1, "gpu": 1, "disk": 500_000_000}
    assert order().resources == {}


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpu": 0}, "cpu is a number above 0"),
        ({"cpu": "many"}, "cpu is a number"),
        ({"cpu": True}, "cpu is a number"),
        ({"gpu": 0.5}, "gpu is a whole number"),
        ({"memory": "4 gigs"}, "memory is a size"),
        ({"memory": -1}, "memory is a size"),
        ({"memory": "0"}, "memory is a size"),
        ({"ram": 1}, "'ram' is no resource"),
    ],
)
def test_resources_that_are_none_are_refused_by_name(resources: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        LocalEnvironment(resources=resources)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nomad": {}}, "'nomad' is none"),
        ({"docker": {"volumes": {1, 2}}}, "must be what JSON has"),
        ({"docker": ["x"]}, "are a dictionary"),
    ],
)
def test_options_that_are_none_are_refused_by_name(options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        LocalEnvironment(options=options)


def test_resources_and_options_travel_in_the_manifest_alone(here: Place, tmp_path: Path) -> None:
    (tmp_path / "etl.py").write_text(
        "from runner import Flow, task\n"
        "from runner.environments import LocalEnvironment\n"
        "@task\ndef one(): return 1\n"
        'environment = LocalEnvironment(resources={"memory": "1Gi"}, options={"local": {"folder": "/x"}})\n'
        'with Flow("etl", environment=environment) as flow:\n    one()\n'
    )
    built = start({}, "build", str(tmp_path / "etl.py"), "--storage", here.url, "--json")  # it leaves a module behind
    told = json.loads(built.stdout)["manifest"]
    assert told["environment"] == {"resources": {"memory": 2**30}, "options": {"local": {"folder": "/x"}}}
    made = Launchable("file:///x", "0" * 64, "file", told)
    launcher = Local().with_defaults(options_of(made, "local"))
    assert launcher.given == {"folder": "/x"}
    assert Local(folder="/y").with_defaults(options_of(made, "local")).given == {"folder": "/y"}
    assert options_of(made, "docker") == {}
    plain = publish(here, "etl.py")
    assert "environment" not in json.loads(run_command({}, "inspect", plain, "--json").stdout)


def test_an_option_that_a_platform_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"local has no option 'foldr'\. It has folder"):
        make_launcher(Local, {"foldr": 1})


@pytest.mark.parametrize(
    ("kind", "option", "value", "told"),
    [
        ("local", "folder", ["a"], "folder of local is a text, and not"),
        ("docker", "engine", {}, "engine of docker is a text, and not"),
        ("docker", "network", [True], "network of docker is a text or a list, and not"),
        ("docker", "read_only", 1, "read_only of docker is true or false, and not 1"),
        ("docker", "user", 1.5, "user of docker is a text or a whole number, and not 1.5"),
        ("kubernetes", "tolerations", [1], "tolerations of kubernetes is a list, and not"),
        ("kubernetes", "template", [], "template of kubernetes is a text or an object, and not"),
        ("ecs", "capacity_providers", [3], "capacity_providers of ecs is a text or a list, and not"),
        ("ecs", "tags", {"a": 1}, "tags of ecs is an object, and not"),
        ("batch", "priority", True, "priority of batch is a whole number, and not True"),
        ("slurm", "arguments", "--hold", "arguments of slurm is a list, and not"),
    ],
)
def test_an_option_of_another_type_is_told_with_what_it_is(kind: str, option: str, value: object, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        make_launcher(launchers.launcher_class(kind), {option: value})


def test_options_of_the_right_type_stay_and_digits_are_a_text() -> None:
    given = {"partition": 7, "time": 7, "setup": ["a"], "requeue": True}
    assert make_launcher(launchers.launcher_class("slurm"), given).given == {**given, "partition": "7"}
    providers = ["FARGATE", {"capacityProvider": "FARGATE_SPOT", "weight": 2}]
    assert make_launcher(launchers.launcher_class("ecs"), {"capacity_providers": providers}).given == {
        "capacity_providers": providers
    }
    assert make_launcher(launchers.launcher_class("batch"), {"attempts": None}).given == {}


def test_names_are_labels_of_dns_and_differ_from_run_to_run() -> None:
    names = {object_name(f"s3://b/{run}", run, 1) for run in ("A", "a", "a.b", "a_b", "x" * 128, "9-")}
    assert len(names) == 6
    for name in names:
        assert len(name) <= 63
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert name[0].isalpha()
        assert name[-1].isalnum()


@pytest.mark.parametrize("name", sorted(set(launchers.__all__) - {"launcher_class"}))
def test_every_launcher_says_what_its_options_are(name: str) -> None:
    kind = launchers.launcher_class(name.lower())
    assert kind is getattr(launchers, name)
    options = set(inspect.signature(kind.__init__).parameters) - {"self"}
    assert set(re.findall(r"^        (\w+): ", kind.__doc__ or "", re.MULTILINE)) == options
    assert kind.kind in LAUNCHER_KINDS


@pytest.mark.parametrize(
    "name", ["RUNNER_RUN_ID", "RUNNER_LOCATION", "RUNNER_LAUNCH", "RUNNER_PARAMETERS", "RUNNER_SECRETS"]
)
def test_what_the_launch_itself_says_is_no_variable_to_add(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is said by the launch itself"):
        order(Wishes(parameters={"day": 1}, environ={name: "x"}))


def test_where_runs_lie_is_said_to_the_launch_and_not_to_its_container_alone() -> None:
    with pytest.raises(UsageError, match=r"RUNNER_RESULTS says where the run lies.* Set it for this command"):
        order(Wishes(parameters={"day": 1}, environ={"RUNNER_RESULTS": "s3://elsewhere"}))


def test_the_run_is_the_one_that_is_named_on_the_command_line_or_in_the_environment(here: Place) -> None:
    url = publish(here, "etl.py")
    assert_refused(run_command({}, "launch", "local", url, "--run-id", "a b"), 2, "--run-id", "no run id")
    rendered = run_command({"RUNNER_RUN_ID": "fixed"}, "launch", "local", url, "--render").stdout
    assert "RUNNER_RUN_ID=fixed" in rendered
    rendered = run_command({"RUNNER_RUN_ID": "fixed"}, "launch", "local", url, "--render", "--run-id", "other").stdout
    assert "RUNNER_RUN_ID=other" in rendered
