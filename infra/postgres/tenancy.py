"""The database as different parties see it."""

from domain.identity import Act, Unauthenticated
from infra.postgres.database import Database


class Tenancy:
    """Implements `domain.identity.Databases`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, act: Act) -> Database:
        """As the caller's viewer; raises Unauthenticated."""
        if act.caller.viewer is None:
            raise Unauthenticated
        return self._database

    def accounts(self, act: Act) -> Database:
        """As the service that knows passwords, sessions and invitations."""
        return self._database
