"""The ports of signing in, as the settings want them."""

from datetime import timedelta

from domain.identity import TokenIssuer
from domain.identity.door import Door, DoorRules, Post
from domain.identity.ports import PasswordHasher
from domain.ports import Clock, Ids, Vault
from infra.security.authenticators import TotpAuthenticators
from infra.security.common_passwords import CommonPasswords
from infra.security.opaque import RandomTokens
from infra.security.pace import EvenPace
from infra.settings import Settings


def build_door(
    settings: Settings,
    hasher: PasswordHasher,
    tokens: TokenIssuer,
    post: Post,
    vault: Vault,
    clock: Clock,
    ids: Ids,
) -> Door:
    """What letting people in takes."""
    rules = DoorRules(
        invited_only=settings.registration == "invited",
        app_url=settings.app_url,
        session_lifetime=timedelta(days=settings.session_days),
        deletion_grace=timedelta(days=settings.deletion_grace_days),
    )
    return Door(
        hasher=hasher,
        common_passwords=CommonPasswords(),
        tokens=tokens,
        opaque=RandomTokens(),
        authenticators=TotpAuthenticators(),
        vault=vault,
        post=post,
        pace=EvenPace(),
        clock=clock,
        ids=ids,
        rules=rules,
    )
