"""Mailed tokens for another e-mail address, and those that link an OpenID provider."""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CONSTRAINT = "one_time_purpose_known"
BEFORE = ("verify_email", "reset_password", "delete_account", "sign_in")
ADDED = ("change_email", "link_provider", "confirm_link")


def upgrade() -> None:
    _know(*BEFORE, *ADDED)


def downgrade() -> None:
    gone = ", ".join(f"'{purpose}'" for purpose in ADDED)
    op.execute(f"delete from one_time_tokens where purpose in ({gone})")  # noqa: S608
    _know(*BEFORE)


def _know(*purposes: str) -> None:
    op.drop_constraint(CONSTRAINT, "one_time_tokens", type_="check")
    known = ", ".join(f"'{purpose}'" for purpose in purposes)
    op.create_check_constraint(CONSTRAINT, "one_time_tokens", f"purpose in ({known})")
