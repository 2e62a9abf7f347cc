"""What clients send: leaves, without resolvers."""

from schema import enums  # noqa: F401  (registers the enums before any input names one)
