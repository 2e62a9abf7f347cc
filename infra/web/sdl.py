"""The GraphQL schema as text, for `schema.graphql` and clients that generate code."""

from schema.root import sdl


def printed() -> str:
    """The schema in GraphQL's own language, ending in a line feed."""
    return sdl()
