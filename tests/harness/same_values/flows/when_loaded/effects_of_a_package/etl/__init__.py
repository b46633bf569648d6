import os

os.environ["STAGE_OF_ETL"] = "production"
LIMIT = 5
from etl import registry  # noqa: E402

registry.KNOWN.append("package")
