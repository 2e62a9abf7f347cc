"""How entities keep values that SQL has no type of its own for."""

import re
from enum import Enum

import sqlalchemy


def text_enum(kind: type[Enum]) -> sqlalchemy.Enum:
    """A text column holding the enum's values, with a CHECK that admits no other."""
    return sqlalchemy.Enum(
        kind,
        native_enum=False,
        length=40,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        name=re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() + "_known",
    )
