"""The front door as the settings want it: what may be asked, how often, by how many."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from graphql import GraphQLSchema

from infra.settings import Settings
from infra.startup import CannotRun
from infra.web.counters import Counters
from infra.web.crowd import Crowd
from infra.web.documents import Documents, Limits
from infra.web.followers import Followers
from infra.web.limits import RateLimits, Rates
from infra.web.metrics import Metrics
from infra.web.trusted import InvalidDocuments, PersistedDocuments, TrustedDocuments


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """What stands before the operations of a process; `gate` is None when nothing is limited in number."""

    documents: Documents
    metrics: Metrics
    counters: Counters
    limits: RateLimits
    gate: RateLimits | None
    crowd: Crowd
    followers: Followers
    hints: bool
    graphiql: bool


def front_door(settings: Settings, schema: GraphQLSchema, scope: str = "") -> FrontDoor:
    """The front door of one process of the deployment that `scope` names; raises CannotRun when the trusted documents cannot be used."""
    production = settings.environment == "production"
    trusted = _trusted(settings)
    introspection = settings.allow_introspection
    documents = Documents(
        schema,
        Limits(
            tokens=settings.max_query_tokens,
            depth=settings.max_query_depth,
            cost=settings.max_query_cost,
            aliases=settings.max_query_aliases,
            schema_aliases=min(settings.max_query_aliases, Limits().schema_aliases),
            directives=settings.max_query_directives,
            root_fields=settings.max_root_fields,
        ),
        persisted=PersistedDocuments(trusted, settings.trusted_documents_only),
        introspection=not production if introspection is None else introspection,
        hints=not production,
    )
    counters = Counters(_rate_limit_url(settings), scope)
    limits = RateLimits(
        Rates(
            queries=settings.requests_per_minute,
            mutations=settings.mutations_per_minute,
            sign_ins=settings.sign_ins_per_minute,
            cost=settings.cost_per_minute,
        ),
        counters,
    )
    graphiql = settings.allow_graphiql
    return FrontDoor(
        documents,
        Metrics(() if trusted is None else trusted.operation_names()),
        counters,
        limits,
        limits if settings.rate_limits else None,
        Crowd(settings.max_sockets, settings.max_sockets_per_viewer),
        Followers(settings.max_subscriptions_per_viewer),
        hints=not production,
        graphiql=not production if graphiql is None else graphiql,
    )


def allowed_hosts(settings: Settings, loopback: bool) -> list[str] | None:
    """The names a service may be called by beside `localhost` and addresses; None: any."""
    if not loopback and not settings.allowed_hosts:
        return None
    public = urlsplit(settings.public_url or "").hostname
    return [*settings.allowed_hosts, *([public] if public else [])]


def metrics_beside_api(settings: Settings) -> bool:
    """Whether the API's own port serves `/metrics`: in production never openly."""
    if settings.metrics_port is not None:
        return False
    return settings.environment != "production" or settings.metrics_token is not None


def metrics_token(settings: Settings) -> str | None:
    """What `/metrics` asks for; None: nothing."""
    token = settings.metrics_token
    return None if token is None else token.get_secret_value()


def _trusted(settings: Settings) -> TrustedDocuments | None:
    if settings.trusted_documents is None:
        return None
    try:
        return TrustedDocuments(settings.trusted_documents)
    except InvalidDocuments as problem:
        raise CannotRun(f"Trusted documents: {problem}") from None


def _rate_limit_url(settings: Settings) -> str:
    url = settings.rate_limit_url or settings.bus_url
    return url.get_secret_value()
