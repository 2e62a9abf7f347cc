"""What the commands of `infra.cli` do, apart from it so that the command line itself loads fast."""
