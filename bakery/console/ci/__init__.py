"""What services for continuous integration are told of a build, each in its own form."""
