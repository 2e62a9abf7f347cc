"""Encryption keys rotated beside a service that goes on sealing: nothing is lost, wherever it is interrupted."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from domain.identity import Credential, SigningKey
from domain.secrets import Secret, sealed
from infra.commands import keys
from infra.postgres import tables
from infra.postgres.database import Database
from infra.postgres.resealing import counted, resealed
from infra.security.keys import KeyFile, new_key, read_key
from infra.security.sealed import SEALED
from infra.security.vault import KeyVault
from infra.settings import Settings, load_settings
from infra.startup import CannotRun
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW, OWNER_ID
from tests.infra.security.test_vault import sealed_whole

OLD, NEW = read_key(new_key()), read_key(new_key())


async def fill(database: Database, vault: KeyVault, count: int = 7) -> dict[str, bytes]:
    """Sealed rows in every table; what they hold, by column and key."""
    held: dict[str, bytes] = {}
    made: list[Any] = [
        Credential(user_id=OWNER_ID, totp_sealed=vault.seal(b"totp", OWNER_ID.bytes))
    ]
    held[f"credentials.totp_sealed {OWNER_ID}"] = b"totp"
    for number in range(count):
        text = f"value {number}"
        connector, secret = factories.new_id(), factories.new_id()
        made += [
            factories.connector(id=connector, sealed=vault.seal(text.encode(), connector.bytes)),
            a_secret(vault, secret, text),
            SigningKey(
                id=f"key-{number}",
                algorithm="EdDSA",
                public={},
                sealed=vault.seal(text.encode(), f"key-{number}".encode()),
                created_at=NOW,
                retired_at=NOW,
                expires_at=NOW - timedelta(days=1),
            ),
        ]
        for place in (f"connectors.sealed {connector}", f"secrets.sealed {secret}"):
            held[place] = text.encode()
        held[f"signing_keys.sealed key-{number}"] = text.encode()
    await factories.save(database, *made)
    return held


def a_secret(vault: KeyVault, id: UUID, value: str) -> Secret:
    return Secret(
        id=id,
        workspace_id=HOME_WORKSPACE_ID,
        name=f"secret-{id}",
        sealed=sealed(vault, id, value),
        masked="",
        created_at=NOW,
        updated_at=NOW,
    )


async def opened(database: Database, vault: KeyVault) -> dict[str, bytes]:
    """Everything sealed in the database, opened."""
    found = {}
    for column in SEALED:
        rows = await database.pool.fetch(
            f"select {column.key} as key, {column.column} as sealed from {column.table}"
            f" where {column.column} is not null"
        )
        for row in rows:
            text = vault.open(row["sealed"], column.associated(row["key"]))
            found[f"{column} {row['key']}"] = text
    return found


async def pass_over(database: Database, vault: KeyVault, batches: int | None = None) -> int:
    """Go through all columns in batches of two rows, at most so many batches; how many were done."""
    done = 0
    async with database.acquire() as connection:
        for column in SEALED:
            async for _ in resealed(connection, vault, column, batch_rows=2):
                done += 1
                if done == batches:
                    return done
    return done


def test_every_sealed_column_there_is_is_rotated():
    assert tables.metadata is SQLModel.metadata
    there = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and "sealed" in column.name
    }
    assert {str(column) for column in SEALED} == there


async def test_interrupted_anywhere_and_begun_again_it_loses_nothing(database: Database):
    held = await fill(database, KeyVault([OLD]))
    ring = KeyVault([NEW, OLD])
    passed = 0
    while True:
        done = await pass_over(database, ring, batches=1 + passed % 3)
        assert await opened(database, ring) == held
        if not done:
            break
        passed += 1
    assert passed > 5
    assert await opened(database, KeyVault([NEW])) == held


async def test_what_earlier_releases_sealed_becomes_an_envelope(database: Database):
    id = factories.new_id()
    await factories.save(
        database, factories.connector(id=id, sealed=sealed_whole(NEW, b"{}", id.bytes))
    )
    vault = KeyVault([NEW])
    await pass_over(database, vault)
    counts = await counted(database.pool, SEALED)
    assert [(count.key_id, count.envelope, count.count) for count in counts] == [
        (vault.key_ids[0], True, 1)
    ]
    assert await opened(database, vault) == {f"connectors.sealed {id}": b"{}"}


class Meddler(KeyVault):
    """A ring beside which somebody changes the row just read."""

    meddle: Callable[[], Awaitable[None]] | None = None

    def reseal(self, sealed: bytes, associated: bytes) -> bytes:
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            thread = threading.Thread(target=lambda: asyncio.run(meddle()))
            thread.start()
            thread.join()
        return super().reseal(sealed, associated)


async def test_a_secret_that_is_set_meanwhile_keeps_its_new_value(
    database: Database, database_url: str
):
    id, old = factories.new_id(), KeyVault([OLD])
    await factories.save(database, a_secret(old, id, "before"))
    ring = Meddler([NEW, OLD])

    async def set_anew() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("update secrets set sealed = $1", sealed(old, id, "after"))
        await connection.close()

    ring.meddle = set_anew
    await pass_over(database, ring)
    assert await opened(database, old) == {f"secrets.sealed {id}": b"after"}
    await pass_over(database, ring)
    assert await opened(database, KeyVault([NEW])) == {f"secrets.sealed {id}": b"after"}


async def test_what_no_key_opens_holds_nothing_else_up(database: Database):
    held = await fill(database, KeyVault([OLD]))
    id = factories.new_id()
    lost = KeyVault([bytes(32)]).seal(b"lost", id.bytes)
    await factories.save(database, factories.connector(id=id, sealed=lost))
    await pass_over(database, KeyVault([NEW, OLD]))
    async with database.acquire() as connection:
        stays = await connection.fetchval("select sealed from connectors where id = $1", id)
        await connection.execute("update connectors set sealed = null where id = $1", id)
    assert stays == lost
    assert await opened(database, KeyVault([NEW])) == held


def settings_of(directory: Path, url: str, **values: Any) -> Settings:
    return load_settings(data_dir=directory, database_url=url, **values)


async def test_the_command_rotates_a_key_file_beside_a_running_process(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    running = KeyVault(KeyFile(tmp_path))
    first = running.key_ids[0]
    held = await fill(database, running)
    answer, settings = keys.Answer(), settings_of(tmp_path, database_url)
    await keys.rotate(settings, answer)
    assert answer.good
    assert running.key_ids[1:] == [first]  # without being started anew
    now = await opened(database, running)
    assert now.items() >= held.items()
    assert len(now) == len(held) + 1  # and a key to sign access tokens with
    newest = KeyVault([KeyFile(tmp_path)()[0]])
    assert await opened(database, newest) == now
    await keys.status(settings, answer)
    said = capsys.readouterr().out
    assert answer.good
    assert f"{running.key_ids[0]}  newest   {len(now)} values" in said
    for key in KeyFile(tmp_path)():
        assert repr(key)[2:-1] not in said
        assert key.hex() not in said
    assert not any(text.decode() in said for text in held.values())


async def test_a_command_cut_off_goes_on_without_another_key(
    database: Database, database_url: str, tmp_path: Path
):
    running = KeyVault(KeyFile(tmp_path))
    held = await fill(database, running, count=300)
    settings = settings_of(tmp_path, database_url)
    task = asyncio.create_task(keys.rotate(settings, keys.Answer()))
    while not task.done():
        await asyncio.sleep(0.001)
        counts = await counted(database.pool, SEALED)
        if len({count.key_id for count in counts}) > 1:
            break
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
    assert await opened(database, running) == held
    assert len(running.key_ids) == 2
    await keys.rotate(settings, keys.Answer())
    assert len(running.key_ids) == 2
    assert (await opened(database, KeyVault([KeyFile(tmp_path)()[0]]))).items() >= held.items()


async def test_with_keys_in_the_settings_the_operator_gives_the_new_one(
    database: Database, database_url: str, tmp_path: Path
):
    old, new = new_key(), new_key()
    held = await fill(database, KeyVault([read_key(old)]))
    alone = settings_of(tmp_path, database_url, encryption_keys=[old])
    with pytest.raises(CannotRun, match="keys generate"):
        await keys.rotate(alone, keys.Answer())
    both = settings_of(tmp_path, database_url, encryption_keys=[new, old])
    await keys.rotate(both, keys.Answer())
    assert (await opened(database, KeyVault([read_key(new)]))).items() >= held.items()
    assert not (tmp_path / "encryption.key").exists()


async def test_a_missing_key_is_told(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await fill(database, KeyVault([OLD]), count=1)
    answer = keys.Answer()
    await keys.status(settings_of(tmp_path, database_url), answer)
    assert not answer.good
    assert f"{KeyVault([OLD]).key_ids[0]}  MISSING  4 values" in capsys.readouterr().out


async def test_two_rotations_at_once_are_refused(
    database: Database, database_url: str, tmp_path: Path
):
    async with database.acquire() as connection:
        await connection.fetchval("select pg_advisory_lock($1)", keys._LOCK)
        with pytest.raises(CannotRun, match="another"):
            await keys.rotate(settings_of(tmp_path, database_url), keys.Answer())
