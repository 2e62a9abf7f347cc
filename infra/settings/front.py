"""Settings of the front door: who may call, how often, and what a request may cost."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from infra.settings.values import check_url, split_list


class FrontDoorSettings(BaseSettings):
    """What is let in."""

    environment: Literal["development", "production"] = Field(
        default="development",
        description="`production` refuses introspection, GraphiQL and field suggestions unless allowed, and asks "
        "browsers to use HTTPS alone.",
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Origins whose pages may call the API, over HTTP and WebSocket, comma-separated, such "
        "as `https://app.example.com`; `*` for all. Unset: none but its own.",
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Names by which the service may be called beside `localhost`, addresses and that of "
        "`PENSTOCK_PUBLIC_URL`, comma-separated, such as `api.example.com`; `*` for all. Unset: none on a loopback "
        "address, every name on any other.",
    )
    max_query_depth: int = Field(
        default=15, ge=1, le=100, description="Deepest nesting of fields in a document."
    )
    max_query_cost: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="Highest cost of a document: fields times the items of the pages around them.",
    )
    max_query_tokens: int = Field(
        default=4_000, ge=1, le=1_000_000, description="Longest document, lexical tokens."
    )
    allow_introspection: bool | None = Field(
        default=None,
        description="Whether clients may ask about the schema. Unset: not in production.",
    )
    allow_graphiql: bool | None = Field(
        default=None, description="Whether GraphiQL is served. Unset: not in production."
    )
    max_query_aliases: int = Field(
        default=100, ge=0, le=10_000, description="Most aliases in a document."
    )
    max_query_directives: int = Field(
        default=100, ge=0, le=10_000, description="Most directives in a document."
    )
    max_root_fields: int = Field(
        default=30, ge=1, le=1_000, description="Most fields at the root of an operation."
    )
    max_batch: int = Field(
        default=10, ge=1, le=100, description="Most operations in one HTTP request."
    )
    max_request_bytes: int = Field(
        default=16_777_216,
        ge=1_024,
        le=268_435_456,
        description="Largest request body, and largest message on a WebSocket, bytes.",
    )
    operation_timeout_seconds: float = Field(
        default=30.0,
        ge=0.1,
        le=600,
        description="Longest time a query or mutation may take, seconds.",
    )
    trusted_documents: Path | None = Field(
        default=None,
        description="JSON file of persisted documents, hash to text, as graphql-codegen's client preset writes it.",
    )
    trusted_documents_only: bool = Field(
        default=False, description="Whether documents that are not in that file are refused."
    )
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Addresses or networks of proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are "
        "believed, comma-separated, such as `10.0.0.0/8`.",
    )
    rate_limits: bool = Field(default=True, description="Whether requests are limited in number.")
    rate_limit_url: SecretStr | None = Field(
        default=None,
        description="Where requests are counted, `memory://` or `redis://...`. Unset: on the bus's Redis when "
        "there is one, else in memory.",
    )
    cost_per_minute: int = Field(
        default=1_000_000,
        ge=1,
        le=1_000_000_000,
        description="Cost of operations that one viewer may spend in a minute.",
    )
    requests_per_minute: int = Field(
        default=6_000,
        ge=1,
        le=10_000_000,
        description="Queries that one viewer, or one address without a viewer, may send in a minute.",
    )
    mutations_per_minute: int = Field(
        default=600,
        ge=1,
        le=10_000_000,
        description="Mutations that one viewer may send in a minute.",
    )
    sign_ins_per_minute: int = Field(
        default=10,
        ge=1,
        le=100_000,
        description="Sign-ins, registrations and password resets that one address may try in a minute; six times "
        "as many in an hour, 24 times in a day.",
    )
    max_sockets: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Most WebSockets and streams of events open, per process.",
    )
    max_sockets_per_viewer: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000,
        description="Most WebSockets and streams of events open for one viewer, per process.",
    )
    max_subscriptions_per_viewer: int = Field(
        default=2_000,
        ge=1,
        le=1_000_000,
        description="Most subscriptions open for one viewer, or one address without a viewer, per process.",
    )
    max_operations_per_socket: int = Field(
        default=200, ge=1, le=10_000, description="Most operations at a time on one WebSocket."
    )
    socket_messages_per_minute: int = Field(
        default=6_000,
        ge=1,
        le=10_000_000,
        description="Messages that one WebSocket may send in a minute.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="TCP port of its own for `/metrics`; 0 takes any free one. Unset: served beside the API.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token that `/metrics` asks for. Unset: in production only its own port serves it.",
    )

    @field_validator("cors_origins", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_lists(cls, value: object) -> object:
        return split_list(value)

    @field_validator("rate_limit_url")
    @classmethod
    def _rate_limit_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value, {"memory", "redis", "rediss"}, "memory:// or redis://host:6379/0")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"{proxy!r} is neither an address nor a network") from None
        return proxies

    @field_validator("trusted_documents_only")
    @classmethod
    def _documents_to_trust(cls, only: bool, info: ValidationInfo) -> bool:
        if only and info.data.get("trusted_documents") is None:
            raise ValueError("needs PENSTOCK_TRUSTED_DOCUMENTS, the file of what is trusted")
        return only

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            parts = urlsplit(origin)
            plain = f"{parts.scheme}://{parts.netloc}" == origin and parts.netloc
            if origin != "*" and not (parts.scheme in {"http", "https"} and plain):
                raise ValueError(f"{origin!r} is no origin: scheme, host and port without a path")
        return origins
