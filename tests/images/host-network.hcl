# Beside docker-bake.hcl: the tests' builds use the machine's own network, as the containers that they start do.
target "_common" {
  network = "host"
}
