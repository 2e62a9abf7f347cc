"""The GraphQL schema as text, for `schema.graphql` and clients that generate code."""

from schema.root import schema


def printed() -> str:
    """The schema in the schema definition language, ending in a line feed."""
    return schema.as_str().rstrip("\n") + "\n"
