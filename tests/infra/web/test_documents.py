"""Documents: kept, within limits, refused with the code clients know."""

from typing import Any

import pytest
from graphql import get_introspection_query

from infra.web.documents import Documents, Limits
from infra.web.operations import RequestRefused
from tests.infra.web.sample import SCHEMA
from tests.infra.web.serving import application, client


def refusal(documents: Documents, query: str, variables: dict[str, Any] | None = None) -> list[Any]:
    with pytest.raises(RequestRefused) as caught:
        documents.get(query, None, variables)
    return [(error.extensions or {}).get("code") for error in caught.value.errors]


def test_a_document_is_parsed_once():
    documents = Documents(SCHEMA)
    assert documents.get("{ __typename }", None, None) is documents.get("{ __typename }", None, {})


def test_the_least_recently_used_document_gives_way():
    documents = Documents(SCHEMA, count=2)
    first, second = documents.get("{ a: failing }", None, None), "{ b: failing }"
    documents.get(second, None, None)
    documents.get("{ a: failing }", None, None)
    documents.get("{ c: failing }", None, None)
    assert len(documents) == 2
    assert documents.get("{ a: failing }", None, None) is first


def test_documents_are_bounded_by_their_memory():
    documents = Documents(SCHEMA, size=20_000)
    for number in range(100):
        documents.get(f"{{ name{number}: failing }}", None, None)
    assert 1 < len(documents) < 20
    assert 0 < documents.bytes <= 20_000
    large = "{" + " ".join(f"f{number}: failing" for number in range(40)) + "}"
    documents.get(large, None, None)
    assert len(documents) == 1


def test_a_refused_document_is_not_kept():
    documents = Documents(SCHEMA)
    assert refusal(documents, "{ nothing }") == [None]
    assert len(documents) == 0


def test_too_many_tokens_are_too_complex():
    assert refusal(Documents(SCHEMA, Limits(tokens=10)), "{" + "failing " * 20 + "}") == [
        "QUERY_TOO_COMPLEX"
    ]


def test_a_syntax_error_keeps_its_place():
    with pytest.raises(RequestRefused) as caught:
        Documents(SCHEMA).get("{ failing", None, None)
    assert caught.value.errors[0].formatted["locations"] == [{"line": 1, "column": 10}]


def test_aliases_and_root_fields_are_limited():
    limits = Limits(aliases=3, root_fields=4)
    aliases = "{" + " ".join(f"f{n}: failing" for n in range(4)) + "}"
    assert refusal(Documents(SCHEMA, limits), aliases) == ["QUERY_TOO_COMPLEX"]
    assert refusal(Documents(SCHEMA, limits), "{" + "failing " * 5 + "}") == ["QUERY_TOO_COMPLEX"]
    Documents(SCHEMA, limits).get("{ a: failing failing b: failing c: failing }", None, None)


@pytest.mark.parametrize(
    "query",
    [
        "{ ...F } fragment F on Query { failing failing failing }",
        "{ failing ... on Query { failing ... { failing } } }",
        "query A { failing } query B { failing ...F } fragment F on Query { failing failing }",
    ],
)
def test_root_fields_are_counted_wherever_they_stand(query: str) -> None:
    assert refusal(Documents(SCHEMA, Limits(root_fields=2)), query) == ["QUERY_TOO_COMPLEX"]


def test_a_document_too_long_to_read_is_refused_unread():
    documents = Documents(SCHEMA, Limits(characters=100))
    documents.get("{ __typename }".ljust(100), None, None)
    assert refusal(documents, "{ __typename }".ljust(101)) == ["QUERY_TOO_COMPLEX"]


def test_questions_about_the_schema_have_few_aliases():
    def asked(times: int) -> str:
        fields = " ".join(f"f{n}: fields {{ name }}" for n in range(times))
        return f"{{ __schema {{ types {{ {fields} }} }} }}"

    limits = Limits(schema_aliases=3)
    Documents(SCHEMA, limits).get(asked(3), None, None)
    assert refusal(Documents(SCHEMA, limits), asked(4)) == ["QUERY_TOO_COMPLEX"]


def test_depth_is_limited_through_fragments():
    query = (
        "{ optional { ...F } } fragment F on TickView { previous { ...G } }"
        " fragment G on TickView { ... on Node { id } previous { instrument } }"
    )
    assert refusal(Documents(SCHEMA, Limits(depth=3)), query) == ["QUERY_TOO_COMPLEX"]
    Documents(SCHEMA, Limits(depth=4)).get(query, None, None)


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{ failing }", {}, 1),
        ("{ __typename }", {}, 0),
        ("{ optional { id instrument } }", {}, 3),
        ("{ listed { id } }", {}, 1 + 50),
        ("{ ticks(first: 10) { edges { cursor node { id } } pageInfo { hasNextPage } } }", {}, 34),
        ("{ ticks { edges { node { id } } } }", {}, 1 + 1 + 100),
        ("query Q($n: Int!) { ticks(first: $n) { edges { cursor } } }", {"n": 20}, 22),
        ("query Q($n: Int!) { ticks(first: $n) { edges { cursor } } }", {"n": 200.0}, 202),
        ("query Q($n: Int = 7) { ticks(first: $n) { edges { cursor } } }", {}, 9),
        ("query Q($n: Int = 7) { ticks(first: $n) { edges { cursor } } }", {"n": None}, 52),
        (
            "{ ticks(first: 2) { edges { node { details { ... on CandleView { open } } } } } }",
            {},
            106,
        ),
        ("{ optional { ...F ...F } } fragment F on TickView { id }", {}, 2),
        ("{ ticks(first: 0) { edges { cursor } } }", {}, 3),
        ("{ ticks(first: 5000) { edges { cursor } } }", {}, 1002),
    ],
)
def test_a_field_costs_one_for_each_item_around_it(query, variables, cost):
    Documents(SCHEMA, Limits(cost=cost)).get(query, None, variables)
    if cost:
        assert refusal(Documents(SCHEMA, Limits(cost=cost - 1)), query, variables) == [
            "QUERY_TOO_COMPLEX"
        ]


def test_the_cost_of_a_kept_document_follows_the_variables():
    documents = Documents(SCHEMA, Limits(cost=100))
    query = "query Q($n: Int!) { ticks(first: $n) { edges { cursor } } }"
    documents.get(query, None, {"n": 10})
    assert refusal(documents, query, {"n": 500}) == ["QUERY_TOO_COMPLEX"]
    documents.get(query, None, {"n": 10})


def test_only_the_operation_asked_for_is_counted():
    documents = Documents(SCHEMA, Limits(cost=10))
    query = "query Small { failing } query Large { listed { id } }"
    documents.get(query, "Small", None)
    with pytest.raises(RequestRefused):
        documents.get(query, "Large", None)


def test_introspection_is_free_of_depth_and_cost():
    documents = Documents(SCHEMA, Limits(depth=2, cost=1))
    documents.get(get_introspection_query(input_value_deprecation=True), None, None)


def test_a_bomb_of_fragments_is_refused_fast():
    fragments = [
        f"fragment F{n} on TickView {{ a: previous {{ ...F{n + 1} }} b: previous {{ ...F{n + 1} }} }}"
        for n in range(60)
    ]
    query = "{ optional { ...F0 } }" + " ".join(fragments) + "fragment F60 on TickView { id }"
    assert refusal(Documents(SCHEMA, Limits(depth=100)), query) == ["QUERY_TOO_COMPLEX"]


async def test_a_list_of_variables_too_long_to_coerce_is_refused_before_it_is() -> None:
    async with client(application()) as http:
        body = {"query": "query($ids: [ID!]!) { __typename }", "variables": {"ids": ["x"] * 20_001}}
        answer = (await http.post("/graphql", json=body)).json()
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "field": "variables.ids"}
    assert "20001" in error["message"]
