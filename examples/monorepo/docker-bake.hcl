# A product in one repository: a command line tool in C, a Python service, a front end, a Go service, documentation, and
# the site that serves front end and documentation together.
variable "BASE" {
  default     = "oci-layout://.base"
  description = "Debian: the layout made by scripts/base-image, or docker-image://debian:bookworm-slim"
}

variable "TAG" {
  default = "dev"
}

variable "REGISTRY" {
  default     = "example.test/shop"
  description = "Prefix of the images' names"
}

variable "OUT" {
  default     = "out"
  description = "Folder for the images' archives"
}

function "image" {
  params = [name]
  result = ["${REGISTRY}/${name}:${TAG}"]
}

group "default" {
  targets = ["services", "web-assets", "docs"]
}

group "services" {
  targets = ["cli", "api", "ingest", "site"]
}

target "_common" {
  contexts = { "debian:bookworm-slim" = BASE }
  labels   = { "org.opencontainers.image.version" = TAG }
  # A package mirror that this machine is configured for reaches the steps as a secret: in no layer, in no cache key.
  secret = ["id=pip_index,env=PIP_INDEX_URL", "id=npm_registry,env=NPM_CONFIG_REGISTRY"]
}

# What several targets are built with: compilers, Python with venv, Node. Built once for all of them.
target "tools" {
  inherits = ["_common"]
  context  = "tools"
  name     = "tools-${stage}"
  matrix   = { stage = ["c", "python", "node", "go"] }
  target   = stage
}

target "cli" {
  inherits = ["_common"]
  context  = "cli"
  contexts = { toolchain = "target:tools-c" }
  tags     = image("cli")
  output   = ["type=oci,dest=${OUT}/cli.tar"]
}

target "api" {
  inherits = ["_common"]
  context  = "api"
  contexts = { toolchain = "target:tools-python" }
  tags     = image("api")
  output   = ["type=oci,dest=${OUT}/api.tar"]
}

target "ingest" {
  inherits = ["_common"]
  context  = "ingest"
  contexts = { toolchain = "target:tools-go" }
  tags     = image("ingest")
  output   = ["type=oci,dest=${OUT}/ingest.tar"]
}

target "web" {
  inherits = ["_common"]
  context  = "web"
  contexts = { toolchain = "target:tools-node" }
}

target "web-assets" {
  inherits = ["web"]
  output   = ["type=local,dest=${OUT}/web"]
}

target "docs" {
  inherits = ["_common"]
  context  = "docs"
  contexts = { toolchain = "target:tools-python" }
  output   = ["type=local,dest=${OUT}/docs"]
}

# Linked targets: the site takes what web and docs made, whether or not they were asked for.
target "site" {
  inherits = ["_common"]
  context  = "site"
  contexts = {
    web  = "target:web"
    docs = "target:docs"
  }
  tags   = image("site")
  output = ["type=oci,dest=${OUT}/site.tar"]
}
