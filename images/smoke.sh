#!/bin/sh
# Build and run a flow in the image that is being made.
set -eu

python - <<'END'
import os, platform, sys
found, wanted = platform.python_version(), os.environ["PYTHON_VERSION"]
if not found.startswith(f"{wanted}."):
    sys.exit(f"BASE_IMAGE has Python {found}, but PYTHON_VERSION says {wanted}")
END

folder=$(mktemp -d)
cd "$folder"
cat > flow.py <<'END'
from runner import Flow, task
from runner.storage import Local


@task
def add(left, right):
    return left + right


@task
async def double(number):
    return 2 * number


with Flow("smoke", storage=Local("flows")) as flow:
    double(add(1, 2))
END
location=$(runner build flow.py)
RUNNER_LOCATION=$location python -s -P -m runner
python -c "import obstore.store, runner.backends.aws.s3, runner.backends.azure.blob"
runner version
cd /
rm -rf "$folder"
