"""The GraphQL schema as text, for `schema.graphql` and clients that generate code."""

from strawberry.printer import print_schema

from schema.root import schema


def printed() -> str:
    """The schema in GraphQL's own language, ending in a line feed."""
    return print_schema(schema) + "\n"
