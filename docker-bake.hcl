# The images, for each Python: docker buildx bake              all of them
#                              docker buildx bake aws-py3-11   one
#                              docker buildx bake validate     one of each, to see that they build; nothing is kept
# What is null here has its value in the Dockerfile.

variable "REGISTRY" { default = "org" }
variable "REPOSITORY" { default = "runner" }
variable "VERSION" { default = null }
variable "REVISION" { default = null }
variable "BASE_IMAGE" { default = null }
# The official images by digest: {"3.13": "sha256:…"}. A Python that is not in it has its tag.
variable "BASE_DIGESTS" { default = "{}" }

# The Python of the tags that name none.
variable "PYTHON" { default = "3.13" }

group "default" {
  targets = ["image"]
}

target "_common" {
  args = {
    BASE_IMAGE = BASE_IMAGE
    VERSION    = VERSION
    REVISION   = REVISION
    REPOSITORY = "${REGISTRY}/${REPOSITORY}"
  }
}

target "image" {
  inherits = ["_common"]
  matrix = {
    image  = ["slim", "aws", "gcp", "azure", "all_extras"]
    python = ["3.11", "3.12", "3.13", "3.14"]
  }
  name   = "${image}-py${replace(python, ".", "-")}"
  target = image
  args   = { PYTHON_VERSION = python, BASE_IMAGE = base_of(python) }
  tags   = concat(tags_of("${image}-py${python}"), python == PYTHON ? tags_of(image) : [])
}

function "base_of" {
  params = [python]
  result = BASE_IMAGE != null ? BASE_IMAGE : try("python:${python}-slim@${jsondecode(BASE_DIGESTS)[python]}", null)
}

# Under its name and, where bake is given a version, under one that never changes.
function "tags_of" {
  params = [name]
  result = [for tag in [name, VERSION == null ? "" : "${name}-${VERSION}"] : "${REGISTRY}/${REPOSITORY}:${tag}" if tag != ""]
}

target "validate" {
  inherits = ["_common"]
  matrix   = { image = ["slim", "aws", "gcp", "azure", "all_extras"] }
  name     = "validate-${image}"
  target   = image
  output   = ["type=cacheonly"]
}
