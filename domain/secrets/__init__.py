"""Named secrets of a workspace, which connectors and later contexts refer to by name."""

from domain.secrets.entities import Secret

__all__ = ["Secret"]
