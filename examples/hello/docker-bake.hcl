# The smallest useful project: two images that share a step, and a file for this folder.
variable "BASE" {
  default     = "oci-layout://.base"
  description = "Where busybox comes from: the layout made by scripts/base-image, or docker-image://busybox"
}

variable "WHO" {
  default = "world"
}

group "default" {
  targets = ["hello", "shout"]
}

target "_base" {
  contexts = { busybox = BASE }
  args     = { WHO = WHO }
}

target "hello" {
  inherits = ["_base"]
  target   = "hello"
  tags     = ["example.test/hello:latest"]
  output   = ["type=oci,dest=out/hello.tar"]
}

target "shout" {
  inherits = ["_base"]
  target   = "shout"
  output   = ["type=local,dest=out/shout"]
}
