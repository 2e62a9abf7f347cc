import json
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.connectors import (
    Secrets,
    credential_forms,
    masked,
    open_secrets,
    seal_secrets,
    secret_fields,
)
from domain.connectors.secrets import merged
from infra.security.vault import KeyVault
from tests import factories

VAULT = KeyVault([bytes(32)])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
pairs = st.dictionaries(texts, texts, max_size=3)
all_secrets = st.builds(
    Secrets,
    api_key=st.none() | texts,
    api_secret=st.none() | texts,
    passphrase=st.none() | texts,
    bearer_token=st.none() | texts,
    username=st.none() | texts,
    password=st.none() | texts,
    headers=pairs,
    query_parameters=pairs,
)


@given(secrets=all_secrets)
def test_sealed_secrets_open_again_and_only_for_their_connector(secrets):
    id = uuid4()
    connector = factories.connector(id=id, sealed=seal_secrets(VAULT, id, secrets))
    assert open_secrets(VAULT, connector) == secrets
    assert (connector.sealed is None) == (secrets == Secrets())


@given(secrets=all_secrets)
def test_no_secret_is_printed(secrets):
    shown = [*secret_fields(secrets)]
    assert repr(secrets) == f"Secrets({', '.join(shown)})"


def test_fields_are_named_as_clients_know_them():
    secrets = Secrets(
        api_key="k", headers={"X-B": "1", "X-A": "2"}, query_parameters={"token": "3"}
    )
    assert secret_fields(secrets) == [
        "apiKey",
        "headers.X-A",
        "headers.X-B",
        "queryParameters.token",
    ]


def test_a_patch_changes_only_what_it_names():
    before = Secrets(api_key="k", api_secret="s", headers={"A": "1", "B": "2"})
    after = merged(before, {"api_secret": None, "headers": {"B": None, "C": "3"}})
    assert after == Secrets(api_key="k", headers={"A": "1", "C": "3"})
    assert merged(after, {"headers": None}) == Secrets(api_key="k")
    assert merged(before, {}) == before


@given(secret=texts.filter(lambda text: len(text) >= 4), around=texts)
def test_what_a_source_echoes_is_masked(secret, around):
    secrets = Secrets(api_key=secret, headers={"A": secret})
    for echo in (secret, json.dumps({"echo": secret}), f"{around} {secret}{secret}"):
        assert secret not in masked(echo, secrets).replace("***", "")


def test_credentials_are_told_from_words_of_the_data():
    secrets = Secrets(
        api_key="key-0123456789",
        password="password/1",
        username="BTC-USDT-SWAP",
        headers={"X-Own": "header-value", "Accept": "application/json"},
        query_parameters={"symbol": "BTCUSDT-LONG"},
        passphrase="short",
    )
    assert set(credential_forms(secrets)) == {
        "key-0123456789",
        "password/1",
        "password%2F1",
        "header-value",
        "QlRDLVVTRFQtU1dBUDpwYXNzd29yZC8x",  # BTC-USDT-SWAP:password/1
        "OnBhc3N3b3JkLzE=",  # :password/1
        "OnBhc3N3b3JkLzE%3D",
    }
