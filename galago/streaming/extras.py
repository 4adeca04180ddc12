"""Optional libraries: imported when they are used, and missed with a sentence that helps."""

from __future__ import annotations

import importlib
from types import ModuleType

from galago.runtime.errors import UnsupportedError


def import_extra(module: str, *, extra: str, purpose: str, debian: str | None = None) -> ModuleType:
    """Import an optional library.

    Args:
        module: what to import.
        extra: the extra of galago that brings it.
        purpose: what it is wanted for, to end the sentence "... is needed for".
        debian: the Debian package of a system library that it loads.

    Raises:
        UnsupportedError: it is not installed, or does not load; the message says how to get it.
    """
    library = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != library:
            raise  # it is there; something that it needs itself is not
        raise UnsupportedError(
            f"{library} is needed for {purpose} and is not installed: pip install 'galago[{extra}]'"
            + (f" (on Debian and Ubuntu first: apt-get install {debian})" if debian else "")
        ) from None
    except (ImportError, OSError) as error:  # it is there, the system library that it loads is not
        raise UnsupportedError(
            f"{library} is needed for {purpose} and does not load: {error}"
            + (f"; on Debian and Ubuntu: apt-get install {debian}" if debian else "")
        ) from error
