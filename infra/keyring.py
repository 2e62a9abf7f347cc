"""The vault as settings ask for it."""

from infra.security.keys import KeyFile, read_key
from infra.security.vault import KeyVault
from infra.settings import Settings
from infra.startup import CannotRun


def key_file_of(settings: Settings) -> KeyFile:
    """The key file of the data directory, made on first use; raises CannotRun when it cannot be used."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return KeyFile(settings.data_dir)
    except (OSError, ValueError) as error:
        raise CannotRun(f"the encryption key cannot be used: {error}") from None


def vault_of(settings: Settings) -> KeyVault:
    """A vault over `PENSTOCK_ENCRYPTION_KEYS`, or else over the key file; raises CannotRun."""
    keys = [read_key(key.get_secret_value()) for key in settings.encryption_keys]
    return KeyVault(keys or key_file_of(settings))


def newest_key(settings: Settings) -> bytes:
    """The key that seals now, to derive others from; raises CannotRun."""
    keys = [read_key(key.get_secret_value()) for key in settings.encryption_keys]
    return (keys or key_file_of(settings)())[0]
