"""Names of models on the Hugging Face Hub: whether there may be such a model, before anybody waits for it.

transformers asks for every file of a model and asks again when nobody answers, which takes a minute for a name that was
misspelled. One question is enough.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from oreo.errors import DataError, UsageError

SECONDS = 5.0
"""To wait for the Hub's answer."""
_SEEN: set[str] = set()
"""Names that the Hub has, so that it is asked once for each."""


def check_name(name: str, words: Iterable[str] = ()) -> None:
    """See that a name is that of a model which was loaded before, or which the Hub has.

    Args:
        name: no folder of this machine.
        words: what else could be said in this place; a name close to one of them is a slip.

    Raises:
        UsageError: no model can have this name, or it is nearly one of the words.
        DataError: the Hub has none of this name, or cannot be asked.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils import validate_repo_id

    words = list(words)
    if name in _SEEN:
        return
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise UsageError(
            f"no model {name!r}: there is no such folder, and no name on the Hub looks like this{_expected(words)}"
        ) from None
    if _is_cached(name):
        return
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.75)
    if near:
        raise UsageError(f"no model {name!r}: did you mean {near[0]!r}?")
    why = "the Hub is not asked, as HF_HUB_OFFLINE says"
    if not constants.HF_HUB_OFFLINE:
        try:
            HfApi().model_info(name, timeout=SECONDS)
            _SEEN.add(name)
            return
        except GatedRepoError:  # transformers says what to do
            return
        except RepositoryNotFoundError:
            why = "the Hub has none of this name that you may read"
        except OfflineModeIsEnabled:
            pass
        except HfHubHTTPError:  # it is there, and has troubles of its own
            return
        except Exception as error:  # whatever the client at work raises where there is no connection
            why = f"the Hub cannot be reached ({(str(error).strip() or type(error).__name__).splitlines()[0]})"
    raise DataError(f"no model {name!r}: there is no such folder, and {why}{_expected(words)}")


def _is_cached(name: str) -> bool:
    """Whether a model or an adapter of this name was loaded before."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", "adapter_config.json"))


def _expected(words: list[str]) -> str:
    return f"; expected {', '.join(words)}, a folder or a Hub name" if words else ""
