"""Selections of all that a GraphQL type has, made from the schema itself, so that what is added is asked for too."""

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from schema.root import schema

GRAPHQL = schema._schema


def fields(name: str) -> dict[str, GraphQLField]:
    """The fields of a root type that need no arguments."""
    root = GRAPHQL.type_map[name]
    assert isinstance(root, GraphQLObjectType)
    return {
        name: field
        for name, field in root.fields.items()
        if not any(is_required_argument(argument) for argument in field.args.values())
    }


def selection(type: GraphQLNamedType, depth: int = 5, above: tuple[str, ...] = ()) -> str:
    """Every field that needs no arguments, to this depth, no type within itself; empty for a leaf."""
    if is_leaf_type(type) or depth == 0 or type.name in above:
        return ""
    if isinstance(type, GraphQLUnionType | GraphQLInterfaceType):
        members = GRAPHQL.get_possible_types(type)
        parts = [f"... on {member.name} {selection(member, depth, above)}" for member in members]
        return f"{{ __typename {' '.join(part for part in parts if part.endswith('}'))} }}"
    assert isinstance(type, GraphQLObjectType)
    parts = ["__typename"]
    for name, field in type.fields.items():
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        inner = get_named_type(field.type)
        below = selection(inner, depth - 1, (*above, type.name))
        if below or is_leaf_type(inner):
            parts.append(f"{type.name}_{name}: {name} {below}")
    return f"{{ {' '.join(parts)} }}"


def result_of(mutation: str, depth: int = 3) -> str:
    """A selection of all that a mutation may return."""
    root = GRAPHQL.mutation_type
    assert root is not None
    return selection(get_named_type(root.fields[mutation].type), depth)
